//! The Graph simulator as a program.
fn main(){}
