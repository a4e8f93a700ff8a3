//! Whether a pass can be used: which Conditional Access policies would block a sign-in with it.
//!
//! A pass is made to register security info. People do that in two ways, and Entra judges them differently. They open the
//! page for it, <https://aka.ms/mysecurityinfo>, which is a sign-in to the applications behind it. Or they sign in to
//! something else, and Entra interrupts them until they have registered. Only there do authentication strengths that are
//! demanded of registering replace those that are demanded of all resources (documented). So a strength that admits no pass,
//! demanded of all resources, closes the page to people with a pass even where another policy lets them register (reported).
//!
//! What a policy demands is judged for a sign-in in a browser with nothing but the pass: `mfa` is met, a strength is met if it
//! admits this kind of pass, and a block is never met. Demands on devices and applications, and conditions such as the
//! location, are not known before somebody signs in, so a judgement that rests on them says so.
//!
//! | file | what is in it |
//! |---|---|
//! | `answer` | yes, no, or a matter of what is not known |
//! | `blocking` | whether one policy would block a pass |
//! | `verdict` | all policies together, for one user |
//! | `overview` | all policies together, for whomever they concern |
//! | `words` | how a policy is told to people |

mod answer;
mod blocking;
mod overview;
#[cfg(test)]
pub mod samples;
mod verdict;
mod words;

pub use self::answer::Answer;
pub use self::blocking::{Person, Place, Who, blocks};
pub use self::overview::{Overview, kinds_issued, overview, unfit_strengths};
pub use self::verdict::{Blocked, Verdict, asks, verdict};
