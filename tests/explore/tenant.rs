//! The tenant: one user, the passes that were ever made for them, and the POSTs that are under way.

use super::clock::{LIFETIME, Tick};
use super::objects::IntentId;

/// Number of a pass: in the order in which they were made.
pub type PassNo = u8;
/// Number of a request.
pub type RequestNo = u8;
/// Number of a process: each start of the operator has its own.
pub type ProcessNo = u8;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tenant {
    pub passes: Vec<Pass>,
    pub calls: Vec<Call>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    pub maker: Maker,
    pub created: Tick,
    /// Whether its code was ever in a Secret, or told by the portal.
    pub told: bool,
    pub used: bool,
    /// Whether a request ever recorded it as active.
    pub recorded: bool,
    pub end: Option<(End, Tick)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Maker {
    Operator(RequestNo),
    Portal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    Deleted,
    Replaced,
}

/// A POST that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    pub request: RequestNo,
    pub intent: IntentId,
    /// Who waits for the answer; nobody, where the process died or gave up.
    pub sender: Option<ProcessNo>,
    pub sent: Tick,
    /// The pass that it made, once it took effect.
    pub made: Option<PassNo>,
}

/// A pass as Graph tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    pub pass: PassNo,
    pub created: Tick,
    pub used: bool,
    pub expired: bool,
}

impl Pass {
    pub fn expires(&self) -> Tick {
        self.created + LIFETIME
    }

    /// Whether Graph still has it, expired or not.
    pub fn is_there(&self) -> bool {
        self.end.is_none()
    }

    /// Whether somebody who knows its code could sign in with it.
    pub fn is_usable(&self, now: Tick) -> bool {
        self.is_there() && !self.used && now < self.expires()
    }
}

impl Tenant {
    /// The user's pass. There is at most one.
    pub fn current(&self) -> Option<PassNo> {
        self.numbered().find(|(_, pass)| pass.is_there()).map(|(number, _)| number)
    }

    /// What a server that lags says of the user's pass: one that was just made is not there yet, one that just ended still
    /// is.
    pub fn current_with_lag(&self, now: Tick) -> Option<PassNo> {
        let before = self
            .numbered()
            .rev()
            .find(|(_, pass)| pass.created < now && pass.end.is_none_or(|(_, ended)| ended == now));
        before.map(|(number, _)| number)
    }

    /// What Graph tells of a pass.
    pub fn seen(&self, number: PassNo, now: Tick) -> Seen {
        let pass = self.pass(number);
        let expired = now >= pass.expires();
        Seen { pass: number, created: pass.created, used: pass.used, expired }
    }

    pub fn pass(&self, number: PassNo) -> &Pass {
        &self.passes[usize::from(number)]
    }

    pub fn pass_mut(&mut self, number: PassNo) -> &mut Pass {
        &mut self.passes[usize::from(number)]
    }

    /// Makes a pass, which replaces whatever is there; answers with both.
    pub fn make(&mut self, maker: Maker, now: Tick) -> (PassNo, Option<PassNo>) {
        let replaced = self.current();
        if let Some(replaced) = replaced {
            self.pass_mut(replaced).end = Some((End::Replaced, now));
        }
        let told = maker == Maker::Portal;
        self.passes.push(Pass {
            maker,
            created: now,
            told,
            used: false,
            recorded: false,
            end: None,
        });
        (PassNo::try_from(self.passes.len() - 1).expect("few passes"), replaced)
    }

    pub fn numbered(&self) -> impl DoubleEndedIterator<Item = (PassNo, &Pass)> {
        self.passes
            .iter()
            .enumerate()
            .map(|(number, pass)| (PassNo::try_from(number).expect("few"), pass))
    }
}
