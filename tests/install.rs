//! An installed copy is moved, found, linked and run the ways that users do it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use programs::output_of;

mod programs;

type Outcome = Result<(), Box<dyn Error>>;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn expected_line() -> String {
    format!("abi 0 version {}\n", env!("CARGO_PKG_VERSION"))
}

/// Installs into one folder and moves the tree to another, so that a path that was baked in leads nowhere.
fn installed_and_moved(room: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let first = room.join("first");
    output_of(Command::new(top().join("x")).args(["install", "--prefix"]).arg(&first))?;
    let moved = room.join("moved");
    fs::rename(&first, &moved)?;
    Ok(moved)
}

/// Runs a program as a user would, without a search path for libraries.
fn run(program: &Path) -> Result<String, Box<dyn Error>> {
    output_of(Command::new(program).env_remove("LD_LIBRARY_PATH"))
}

fn configure(build: &Path, definitions: &[String]) -> Result<String, Box<dyn Error>> {
    output_of(
        Command::new("cmake").arg("-S").arg(top().join("tests/cmake")).arg("-B").arg(build).args(definitions),
    )
}

fn build_and_run(build: &Path, programs: &[&str]) -> Outcome {
    output_of(Command::new("cmake").arg("--build").arg(build))?;
    for program in programs {
        assert_eq!(run(&build.join(program))?, expected_line(), "{program}");
    }
    Ok(())
}

fn build_and_run_consumers(build: &Path) -> Outcome {
    build_and_run(build, &["consumer_c", "consumer_cpp"])
}

/// Where CUDA's toolkit and LibTorch are stood in for; CMake's own module for CUDA must not look further.
fn standins(packages: &[&str]) -> Vec<String> {
    let folder = top().join("tests/cmake/standin");
    let places = packages.iter().map(|package| format!("-D{package}_DIR={}", folder.display()));
    places.chain(["-DCMAKE_FIND_PACKAGE_PREFER_CONFIG=ON".to_owned()]).collect()
}

fn pkg_config(prefix: &Path, arguments: &[&str]) -> Result<Vec<String>, Box<dyn Error>> {
    let folder = prefix.join("lib/pkgconfig");
    let said =
        output_of(Command::new("pkg-config").args(arguments).arg("voxfeed").env("PKG_CONFIG_PATH", folder))?;
    Ok(said.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn a_moved_installation_serves_cmake_and_pkg_config() -> Outcome {
    let room = tempfile::tempdir()?;
    let prefix = installed_and_moved(room.path())?;
    let place = format!("-DVOXFEED_PREFIX={}", prefix.display());

    let build = room.path().join("build");
    configure(&build, &[place.clone(), format!("-DVOXFEED_ASKED={}", env!("CARGO_PKG_VERSION"))])?;
    build_and_run_consumers(&build)?;

    let refused = configure(&room.path().join("next"), &[place, "-DVOXFEED_ASKED=0.99".to_owned()]);
    assert!(
        refused.is_err_and(|error| error.to_string().contains("0.99")),
        "another minor version must be refused"
    );

    assert_eq!(pkg_config(&prefix, &["--modversion"])?, [env!("CARGO_PKG_VERSION")]);
    for (compiler, source) in [("cc", "consumer.c"), ("c++", "consumer.cpp")] {
        let program = room.path().join(source.replace('.', "_"));
        let mut compile = Command::new(compiler);
        compile.arg(top().join("tests/cmake").join(source)).arg("-o").arg(&program);
        if compiler == "c++" {
            compile.arg("-std=c++17");
        }
        compile.args(pkg_config(&prefix, &["--cflags", "--libs"])?);
        compile.arg(format!("-Wl,-rpath,{}", prefix.join("lib").display()));
        output_of(&mut compile)?;
        assert_eq!(run(&program)?, expected_line(), "{source}");
    }
    Ok(())
}

#[test]
fn components_look_for_what_they_need_and_only_when_asked() -> Outcome {
    let room = tempfile::tempdir()?;
    let prefix = installed_and_moved(room.path())?;
    let asked = |name: &str, components: &str, packages: &[&str]| {
        let build = room.path().join(name);
        let mut definitions = standins(packages);
        definitions.push(format!("-DVOXFEED_PREFIX={}", prefix.display()));
        definitions.push(format!("-DVOXFEED_COMPONENTS={components}"));
        configure(&build, &definitions).map(|said| (build, said))
    };
    let refused = |name: &str, components: &str, packages: &[&str]| match asked(name, components, packages) {
        Ok((_, said)) => format!("not refused: {said}"),
        Err(error) => error.to_string(),
    };
    let both = ["CUDAToolkit", "Torch"];

    let (build, said) = asked("both", "COMPONENTS;cuda;torch", &both)?;
    assert!(said.contains("component cuda: 'TRUE'") && said.contains("component torch: 'TRUE'"), "{said}");
    build_and_run(&build, &["consumer_c", "consumer_cpp", "consumer_cuda", "consumer_torch"])?;

    let (build, said) = asked("none", "", &both)?;
    assert!(said.contains("component cuda: ''") && said.contains("component torch: ''"), "{said}");
    assert!(!fs::read_to_string(build.join("Makefile"))?.contains("consumer_cuda"));

    let (_, said) = asked("optional", "COMPONENTS;torch;OPTIONAL_COMPONENTS;cuda;nonsense", &["Torch"])?;
    assert!(said.contains("component cuda: 'FALSE'") && said.contains("component torch: 'TRUE'"), "{said}");

    let lacking = refused("lacking", "COMPONENTS;torch", &[]);
    assert!(lacking.contains("Torch"), "{lacking}");
    let unknown = refused("unknown", "COMPONENTS;cuda;cupy", &both);
    assert!(unknown.contains("has no component 'cupy': there are cuda and torch"), "{unknown}");
    Ok(())
}

#[test]
fn an_installation_has_the_promised_layout() -> Outcome {
    let room = tempfile::tempdir()?;
    let prefix = installed_and_moved(room.path())?;
    let version = env!("CARGO_PKG_VERSION");
    for file in [
        "include/voxfeed.h",
        "include/voxfeed.hpp",
        "lib/pkgconfig/voxfeed.pc",
        "lib/cmake/voxfeed/voxfeedComponents.cmake",
        "lib/cmake/voxfeed/voxfeedConfig.cmake",
        "lib/cmake/voxfeed/voxfeedConfigVersion.cmake",
        "lib/cmake/voxfeed/voxfeedTargets-shared.cmake",
        "share/voxfeed/python/voxfeed.py",
    ] {
        assert!(prefix.join(file).is_file(), "{file} is missing");
    }
    let link = |name: &str| fs::read_link(prefix.join("lib").join(name));
    assert_eq!(link("libvoxfeed.so")?, Path::new("libvoxfeed.so.0"));
    assert_eq!(link("libvoxfeed.so.0")?, PathBuf::from(format!("libvoxfeed.so.{version}")));
    for file in [
        "lib/pkgconfig/voxfeed.pc",
        "lib/cmake/voxfeed/voxfeedConfig.cmake",
        "lib/cmake/voxfeed/voxfeedTargets-shared.cmake",
    ] {
        let text = fs::read_to_string(prefix.join(file))?;
        assert!(
            !text.contains('@') && !text.contains("first"),
            "{file} holds a placeholder or a path:\n{text}"
        );
    }
    Ok(())
}

#[test]
fn a_source_checkout_serves_add_subdirectory() -> Outcome {
    let room = tempfile::tempdir()?;
    let mut definitions = standins(&["CUDAToolkit", "Torch"]);
    definitions.push(format!("-DVOXFEED_SOURCE={}", top().display()));
    configure(&room.path().join("plain"), &definitions)?;
    build_and_run_consumers(&room.path().join("plain"))?;

    definitions.push("-DVOXFEED_BEFORE=CUDAToolkit;Torch".to_owned());
    configure(&room.path().join("more"), &definitions)?;
    build_and_run(&room.path().join("more"), &["consumer_c", "consumer_cuda", "consumer_torch"])
}
