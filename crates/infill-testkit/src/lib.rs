//! A world of its own for every test.

pub mod chaos;
pub mod clock;
pub mod schema;
pub mod services;

pub use chaos::ChaosProxy;
pub use schema::Schema;
pub use clock::SystemClock;
