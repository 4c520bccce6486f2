//! Tells Cargo that the migrations are compiled into the binary.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
