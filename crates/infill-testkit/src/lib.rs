//! A world of its own for every test.

pub mod services;
