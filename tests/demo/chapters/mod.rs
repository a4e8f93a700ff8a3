//! The chapters, in the order of the story.

mod correction;
mod expired;
mod ledger;
mod lost_phone;
mod policy;
mod refused;
mod revoked;

pub use self::correction::correction;
pub use self::expired::expired;
pub use self::ledger::ledger;
pub use self::lost_phone::lost_phone;
pub use self::policy::policy;
pub use self::refused::refused;
pub use self::revoked::revoked;
