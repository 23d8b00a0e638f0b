//! The committed C header is what cbindgen makes of the sources.

use std::path::Path;

#[test]
fn header_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut made = Vec::new();
    cbindgen::generate_with_config(root, config).expect("cbindgen").write(&mut made);
    let path = root.join("include/mlxs_text_ffi.h");
    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(&path, &made).expect("writing the header");
    }
    let committed = std::fs::read(&path).expect("the committed header");
    assert!(committed == made, "include/mlxs_text_ffi.h is out of date: UPDATE_HEADER=1 cargo test --test header");
}
