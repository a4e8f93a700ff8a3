//! The state machine of the product, as the processes of the model have it: shared between states, and asked once about
//! each thing.
//!
//! Nothing of what it does is written here: a transition of the model gives it what happened, and takes what it says.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use aws_lc_rs::digest;
use tap_operator::decision::requests::{Requests, Seen as Watched, Version};

use super::clock::{Tick, tick_of};
use super::objects::{ObjectId, Objects};
use super::shell::{Input, Move};
use super::state::Left;
use super::tenant::{PassNo, RequestNo};
use super::world::{World, at, number};

/// More answers than are asked for again within a few layers of the exploration; all are forgotten at once.
const REMEMBERED: usize = 200_000;

/// A state machine. Two are equal if they are in every field: so their hashes say, which are long enough.
#[derive(Clone)]
pub struct Machine(Rc<Kept>);

struct Kept {
    requests: Requests,
    hash: u128,
    known: Vec<Known>,
}

/// What the model asks often about a request.
#[derive(Clone, Copy)]
struct Known {
    sees: Option<ObjectId>,
    holds: Option<PassNo>,
    due: Option<Tick>,
}

impl Machine {
    pub fn requests(&self) -> &Requests {
        &self.0.requests
    }

    /// The newest version of a request that it knows; absent where it knows of none.
    pub fn sees(&self, request: RequestNo) -> Option<ObjectId> {
        self.0.known[usize::from(request)].sees
    }

    /// The pass with which Graph answered for a request, as long as it is neither recorded nor taken back.
    pub fn holds(&self, request: RequestNo) -> Option<PassNo> {
        self.0.known[usize::from(request)].holds
    }

    /// When a request is due.
    pub fn due(&self, request: RequestNo) -> Option<Tick> {
        self.0.known[usize::from(request)].due
    }

    /// When it wants something to be done first: a request reconciled, or a pass looked at.
    pub fn wakes(&self) -> impl Iterator<Item = Tick> {
        let requests = self.requests();
        requests.next_due().into_iter().chain(requests.next_look()).map(tick_of)
    }
}

impl PartialEq for Machine {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash
    }
}

impl Eq for Machine {}

impl Hash for Machine {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash.hash(state);
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.requests.fmt(f)
    }
}

/// What all states have in common.
#[derive(Default)]
pub struct Core {
    pub world: World,
    pub objects: Objects,
    /// What may happen, before anything has.
    pub at_first: Left,
    /// What each request says about a pass that is there already.
    pub on_existing_pass: &'static [&'static str],
    /// Whether somebody wants to read what happens.
    pub tells: bool,
    machines: HashMap<u128, Machine>,
    begun: HashMap<(Vec<Option<ObjectId>>, Tick), Machine>,
    answers: HashMap<(u128, Tick, Input), (Machine, Move)>,
}

impl Core {
    /// What happens, where somebody wants to read it.
    pub fn said(&self, what: impl std::fmt::Display) -> String {
        if self.tells { what.to_string() } else { String::new() }
    }

    /// A machine to which something happens, and what it wants.
    pub fn run(&mut self, machine: &Machine, now: Tick, input: Input) -> (Machine, Move) {
        let about = (machine.0.hash, now, input);
        if let Some(answer) = self.answers.get(&about) {
            return answer.clone();
        }
        let mut requests = machine.0.requests.clone();
        let wanted = self.give(&mut requests, now, &about.2);
        let answer = (self.keep(requests), wanted);
        if self.answers.len() >= REMEMBERED {
            self.answers.clear();
            self.machines.clear();
            self.begun.clear();
        }
        self.answers.insert(about, answer.clone());
        answer
    }

    /// The machine of a process that begins, and lists these requests first.
    pub fn begun(&mut self, listed: &[Option<ObjectId>], now: Tick) -> Machine {
        let about = (listed.to_vec(), now);
        if let Some(machine) = self.begun.get(&about) {
            return machine.clone();
        }
        let mut requests = self.world.machine(now);
        at(now, |moment| {
            requests.apply(Watched::ListBegins, moment);
            for (number, id) in (0..).zip(listed) {
                if let Some(id) = id {
                    let observed = self.objects.object(*id).observed.clone();
                    let uid = self.world.uid(number).clone();
                    requests.apply(Watched::Listed(uid, observed), moment);
                }
            }
            requests.apply(Watched::ListEnds, moment);
        });
        let machine = self.keep(requests);
        self.begun.insert(about, machine.clone());
        machine
    }

    fn keep(&mut self, requests: Requests) -> Machine {
        let hash = hash(&requests);
        if let Some(machine) = self.machines.get(&hash) {
            return machine.clone();
        }
        let numbers = 0..RequestNo::try_from(self.on_existing_pass.len()).expect("few");
        let known = numbers.map(|request| {
            let uid = self.world.uid(request);
            let versions = requests.observed(uid).map(|observed| &observed.version);
            // Also of one that is gone something is known while a reconcile of it goes on.
            let sees = versions.filter(|version| requests.has_seen(uid.as_str(), version));
            let sees = sees.map(object_of);
            let holds = requests.held(uid).and_then(|(_, held)| number(&held.pass_id));
            Known { sees, holds, due: requests.due(uid).map(tick_of) }
        });
        let machine = Machine(Rc::new(Kept { known: known.collect(), requests, hash }));
        self.machines.insert(hash, machine.clone());
        machine
    }
}

fn object_of(version: &Version) -> ObjectId {
    match version {
        Version::Text(text) => ObjectId::of_version(text),
        Version::Number(number) => panic!("no object has version {number}"),
    }
}

/// All that a value is hashed by.
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the bytes are what is wanted")
    }
}

/// A hash so long that no two values have the same. It is that of a library which is fast without optimizations, too.
pub fn hash(value: &impl Hash) -> u128 {
    let mut bytes = Bytes(Vec::with_capacity(16 * 1024));
    value.hash(&mut bytes);
    let digest = digest::digest(&digest::SHA256, &bytes.0);
    let first = digest.as_ref().first_chunk().expect("it is longer");
    u128::from_ne_bytes(*first)
}
