//! What the logs of a tenant tell: how passes are used, what their users register, which passes others make, and who changes
//! the method.
//!
//! Nothing here is needed to issue a pass or to take it away. The logs lag by minutes, and reading them needs a permission
//! and, for sign-ins, a licence; so whatever is not seen is told to be so, and stops nothing.
//!
//! | file | what is in it |
//! |---|---|
//! | `meaning` | what a row of the audit log tells |
//! | `inquiries` | about which passes the logs are to be asked, and when |
//! | `found` | what an answer adds to the status of a request |
//! | `readings` | which rows of the audit log tell of others |
//! | `lines` | the lines of the audit trail about all that |

mod found;
mod inquiries;
pub mod lines;
mod meaning;
mod readings;
#[cfg(test)]
mod tests;

pub use found::{Found, News, failed_by_code, registered_since};
pub use inquiries::{Ended, Inquiries, Inquiry};
pub use meaning::{FAILED_WITH_PASS, Meaning, meaning};
pub use readings::{Finding, OwnApps, Readings, What};
