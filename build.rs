//! Gives the shared library its name inside the file, so that users link it by name and not by path.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let unwinds = std::env::var("CARGO_CFG_PANIC").is_ok_and(|strategy| strategy == "unwind");
    assert!(
        unwinds,
        "voxfeed needs panic = \"unwind\": a caught panic becomes an error status, not an abort"
    );
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libvoxfeed.so.0");
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        Ok("macos") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libvoxfeed.0.dylib");
        }
        _ => {}
    }
}
