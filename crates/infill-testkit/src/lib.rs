//! A world of its own for every test.

pub mod chaos;
pub mod services;

pub use chaos::ChaosProxy;
