//! Reading a plan file.
