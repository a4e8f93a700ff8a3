//! Yes, no, or a matter of what is not known: the logic of all judgements about sign-ins.

use std::collections::BTreeSet;
use std::ops::Not;

use crate::entra::Circumstance;

/// An answer that may depend on what is not known. What cannot be known matters only where it can change the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// It depends on this.
    DependsOn(BTreeSet<Circumstance>),
}

impl Answer {
    /// A matter of one circumstance.
    pub fn on(circumstance: Circumstance) -> Self {
        Self::DependsOn(BTreeSet::from([circumstance]))
    }

    /// A matter of all of these; yes if there are none.
    pub fn on_all(circumstances: &BTreeSet<Circumstance>) -> Self {
        if circumstances.is_empty() { Self::Yes } else { Self::DependsOn(circumstances.clone()) }
    }

    /// Whether both are so.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, other) | (other, Self::Yes) => other,
            (Self::DependsOn(mut one), Self::DependsOn(other)) => {
                one.extend(other);
                Self::DependsOn(one)
            }
        }
    }

    /// Whether one of them is so.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        !(!self).and(!other)
    }
}

impl Not for Answer {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            depends @ Self::DependsOn(_) => depends,
        }
    }
}

impl From<bool> for Answer {
    fn from(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_matters_only_where_it_can_change_the_answer() {
        let (place, risk) = (Answer::on(Circumstance::Location), Answer::on(Circumstance::Risk));
        assert_eq!(place.clone().and(Answer::No), Answer::No);
        assert_eq!(place.clone().and(Answer::Yes), place);
        assert_eq!(place.clone().or(Answer::Yes), Answer::Yes);
        assert_eq!(place.clone().or(Answer::No), place);
        let both = BTreeSet::from([Circumstance::Location, Circumstance::Risk]);
        assert_eq!(place.and(!risk), Answer::DependsOn(both));
        assert_eq!(Answer::on_all(&BTreeSet::new()), Answer::Yes);
    }
}
