//! Everything that this program changes outside of itself, in one list.
//!
//! A process can die before, during and after each of these, and after each the next one must find its way. So a write
//! that is not in the list cannot be made: to the API server everything goes through
//! [`write`](crate::controller::write), which asks for the effect (the lint `disallowed_methods` refuses any other way),
//! and to Graph only what the client's list of calls has.
//!
//! Dry runs and questions change nothing, and are not here.

macro_rules! effects {
    ($($(#[doc = $doc:literal])* $effect:ident = $name:literal,)*) => {
        /// One kind of change to the cluster or the tenant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Effect {
            $($(#[doc = $doc])* $effect,)*
        }

        impl Effect {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$effect),*];

            /// As it stands in messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$effect => $name,)*
                }
            }
        }
    };
}

effects! {
    /// Kubernetes: the lease, where there is none yet.
    CreateLease = "create lease",
    /// Kubernetes: the lease, from a replica that let it go or did not renew it.
    TakeLease = "take lease",
    /// Kubernetes: the lease is kept.
    RenewLease = "renew lease",
    /// Kubernetes: the lease is let go, so that another replica takes it at once.
    ReleaseLease = "release lease",
    /// Kubernetes: finalizer and intent of an attempt, before its POST; and the write with which recovery begins.
    RecordIntent = "record intent",
    /// Graph: the one POST of an attempt.
    CreatePass = "create the pass",
    /// Kubernetes: the Secret with the code.
    CreateSecret = "create Secret",
    /// Kubernetes: the status of a request.
    WriteRequestStatus = "patch TapRequest status",
    /// Kubernetes: the Secret goes, by its uid.
    DeleteSecret = "delete Secret",
    /// Graph: a pass goes, by its id.
    DeletePass = "delete the pass",
    /// Kubernetes: the finalizer goes, and the intent is closed with it.
    ReleaseFinalizer = "release finalizer",
    /// Kubernetes: a finished request goes, as its `ttlAfterFinished` says.
    DeleteRequest = "delete TapRequest",
    /// Graph: the tenant's method is corrected.
    PatchMethod = "change the tenant's TAP method",
    /// Kubernetes: the status of a policy.
    WritePolicyStatus = "patch TapPolicy status",
    /// Kubernetes: an event, for readers. Nothing depends on it.
    PublishEvent = "publish event",
    /// Kubernetes, by the commands `release` and `uninstall`: the finalizer goes, where no operator runs.
    FreeRequest = "free TapRequest",
    /// Kubernetes, by the command `uninstall`: all issuing stops, and what is active is revoked.
    StopAndRevoke = "apply the stop ConfigMap",
}

#[cfg(test)]
mod tests {
    use super::Effect;

    #[test]
    fn names_are_unlike_each_other() {
        let mut names: Vec<&str> = Effect::ALL.iter().map(|effect| effect.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Effect::ALL.len());
    }
}
