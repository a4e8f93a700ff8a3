//! For whom and where passes are made.

use tap_operator::simulator::tenant::User;
use uuid::Uuid;

/// Where the requests are made.
pub const NAMESPACE: &str = "bench";
/// The policy that they name.
pub const POLICY: &str = "bench";

/// The user with this number, for the request with this number.
pub fn user(number: usize) -> User {
    let name = format!("user-{number}@contoso.com");
    User::member(Uuid::from_u128(0x4000_8000_0000_0000_0000 + number as u128), &name, &name)
}
