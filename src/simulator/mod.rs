//! A Microsoft Entra tenant with Graph, for tests and trying out.
