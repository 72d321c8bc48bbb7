//! infill

fn main() {}
