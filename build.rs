//! What the linker is told.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Half a megabyte of addresses that the loader corrects, in a fiftieth of the room; glibc has known how since 2.36.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
