//! The kinds of notices.

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// What a notice tells.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[doc = $doc])* $name,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name, as filters and receivers know it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

kinds! {
    /// A request waits for people to approve it.
    AwaitingApproval,
    /// As many people approved as the policy requires.
    Approved,
    /// Somebody denied the request before its pass was issued.
    Denied,
    /// The pass was issued, and its Secret exists.
    Issued,
    /// The request cannot be fulfilled.
    Failed,
    /// The one-time pass was used.
    Used,
    /// The pass expired, or was not issued in time.
    Expired,
    /// The pass was revoked, or the request withdrawn.
    Revoked,
    /// A pass exists that no request records.
    ForeignPass,
    /// A tenant differs from its policy, or was corrected.
    Drift,
    /// The emergency stop came, changed or went.
    Stop,
}
