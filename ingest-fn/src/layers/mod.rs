//! The two tower layers: [`observe`] surrounds every route, [`load_shed`] every order, inside it.

pub mod load_shed;
pub mod observe;
