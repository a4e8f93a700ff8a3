//! The commands of tap-operator.
fn main() {}
