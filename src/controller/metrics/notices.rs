//! The notices to receivers outside of the cluster.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{catalog, register};

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The receiver took it.
    Delivered,
    /// The receiver refuses it.
    Refused,
    /// It was dropped, because too many waited or it could not be told for long.
    Dropped,
}

impl Fate {
    /// Every fate.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Refused, Self::Dropped];

    /// Its name in the label `fate`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReceiver {
    receiver: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFate {
    receiver: String,
    fate: &'static str,
}

/// What is counted of notices.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    ended: Family<OfFate, Counter>,
    waiting: Family<OfReceiver, Gauge>,
    up: Family<OfReceiver, Gauge>,
}

impl Notices {
    pub fn register(registry: &mut Registry) -> Self {
        let notices =
            Self { ended: Family::default(), waiting: Family::default(), up: Family::default() };
        register(registry, &catalog::NOTICES, &notices.ended);
        register(registry, &catalog::NOTICES_WAITING, &notices.waiting);
        register(registry, &catalog::RECEIVER_UP, &notices.up);
        notices
    }

    /// The counters of a receiver begin with 0, so that the first event shows as an increase.
    pub fn begin(&self, receiver: &str) {
        for fate in Fate::ALL {
            let _ = self.ended.get_or_create(&of_fate(receiver, fate));
        }
        self.waits(receiver, 0);
    }

    pub fn ended(&self, receiver: &str, fate: Fate) {
        self.ended.get_or_create(&of_fate(receiver, fate)).inc();
    }

    pub fn waits(&self, receiver: &str, number: usize) {
        let of_receiver = OfReceiver { receiver: receiver.into() };
        self.waiting.get_or_create(&of_receiver).set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    pub fn works(&self, receiver: &str, works: bool) {
        let of_receiver = OfReceiver { receiver: receiver.into() };
        self.up.get_or_create(&of_receiver).set(i64::from(works));
    }
}

fn of_fate(receiver: &str, fate: Fate) -> OfFate {
    OfFate { receiver: receiver.into(), fate: fate.label() }
}
