//! The host tool carries the runner for the local virtual board, and with it defmt's table of log
//! strings: linked as `runner/linux/build.rs` links the runner.

fn main() {
    let here = std::path::PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let script = here.join("../runner/linux/defmt.x");
    println!("cargo:rerun-if-changed={}", script.display());
    for argument in [
        "-no-pie",
        &format!("-Wl,-T,{}", script.display()),
        "-Wl,--build-id=sha1",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
