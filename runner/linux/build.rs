//! Gives the binary defmt's table of log strings and a build id to find it by.

fn main() {
    let script = std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default())
        .join("defmt.x");
    println!("cargo:rerun-if-changed={}", script.display());
    // Indices of log strings are addresses in a section at address zero: the image must not be moved.
    for argument in [
        "-no-pie",
        &format!("-Wl,-T,{}", script.display()),
        "-Wl,--build-id=sha1",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
