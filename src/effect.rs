//! The complete list of what this program changes in the cluster and in the tenant.
//!
//! A process can die before, during and after each of these writes, and the next process must recover from it. So no write
//! can be made that is not in the list: every write to the API server goes through [`write`](crate::cluster::write), which
//! takes the effect as an argument (the lint `disallowed_methods` refuses any other way), and every write to Graph is in
//! the client's list of calls.
//!
//! Dry runs and reviews of access change nothing and are not in the list.

macro_rules! effects {
    ($($(#[doc = $doc:literal])* $effect:ident = $name:literal,)*) => {
        /// One kind of change to the cluster or the tenant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Effect {
            $($(#[doc = $doc])* $effect,)*
        }

        impl Effect {
            /// Every effect.
            pub const ALL: &'static [Self] = &[$(Self::$effect),*];

            /// Its name in messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$effect => $name,)*
                }
            }
        }
    };
}

effects! {
    /// Kubernetes: create the lease.
    CreateLease = "create lease",
    /// Kubernetes: take the lease from a replica that released it or did not renew it.
    TakeLease = "take lease",
    /// Kubernetes: renew the lease.
    RenewLease = "renew lease",
    /// Kubernetes: release the lease, so that another replica can take it at once.
    ReleaseLease = "release lease",
    /// Kubernetes: write the finalizer and the intent of an attempt before its POST. Recovery begins with the same write.
    RecordIntent = "record intent",
    /// Graph: the one POST of an attempt.
    CreatePass = "create the pass",
    /// Kubernetes: create the Secret with the code.
    CreateSecret = "create Secret",
    /// Kubernetes: write the status of a request.
    WriteRequestStatus = "patch TapRequest status",
    /// Kubernetes: delete the Secret, by its uid.
    DeleteSecret = "delete Secret",
    /// Graph: delete a pass, by its id.
    DeletePass = "delete the pass",
    /// Kubernetes: remove the finalizer and close the intent.
    ReleaseFinalizer = "release finalizer",
    /// Kubernetes: delete a finished request when its `ttlAfterFinished` is over.
    DeleteRequest = "delete TapRequest",
    /// Graph: correct the tenant's method.
    PatchMethod = "change the tenant's TAP method",
    /// Kubernetes: write the status of a policy.
    WritePolicyStatus = "patch TapPolicy status",
    /// Kubernetes: publish an event. Only people read it; nothing depends on it.
    PublishEvent = "publish event",
    /// Kubernetes, by the commands `release` and `uninstall`: remove the finalizer when no operator runs.
    FreeRequest = "free TapRequest",
    /// Kubernetes, by the command `uninstall`: stop all issuing and revoke all active passes.
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
