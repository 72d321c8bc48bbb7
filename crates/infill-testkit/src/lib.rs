//! A world of its own for every test.

pub mod chaos;
pub mod clock;
pub mod schema;
pub mod services;
pub mod tamper;

pub use chaos::ChaosProxy;
pub use clock::SystemClock;
pub use schema::Schema;
