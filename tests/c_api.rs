//! C programs against the shared library of this very build: the boundary as its users meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;

use programs::output_of;

mod programs;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with one program in it, and the library under the name that programs ask for.
struct Program {
    folder: tempfile::TempDir,
    binary: PathBuf,
}

impl Program {
    fn built(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = std::env::current_exe().unwrap().with_file_name("libvoxfeed.so");
        assert!(library.is_file(), "{} is not built", library.display());
        for file in ["libvoxfeed.so", "libvoxfeed.so.0"] {
            std::os::unix::fs::symlink(&library, folder.path().join(file)).unwrap();
        }
        let binary = folder.path().join(name);
        let mut compiler = Command::new("gcc");
        compiler.args(["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
        compiler.args(["-g", "-O1", "-pthread", "-I"]).arg(root().join("include"));
        compiler.arg(root().join("tests/c").join(name).with_extension("c")).arg("-o").arg(&binary);
        compiler.arg("-L").arg(folder.path()).args(["-lvoxfeed", "-lm", "-ldl"]);
        output_of(&mut compiler).unwrap();
        Self { folder, binary }
    }

    /// A command that runs in the folder and is ended when it takes too long: a deadlock must fail, not hang.
    fn command(&self, wrapper: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.arg("120").args(wrapper).arg(&self.binary);
        command.current_dir(self.folder.path()).env("LD_LIBRARY_PATH", self.folder.path());
        command
    }

    /// Runs it; it must end well and say nothing on its error output.
    fn run(&self) -> String {
        let output = self.command(&[]).output().unwrap();
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
        assert_eq!(complained, "", "{said}");
        said.into_owned()
    }
}

#[test]
fn a_program_written_from_the_header_alone_walks_all_of_it() {
    Program::built("walk").run();
}

#[test]
fn the_walk_leaks_nothing_and_touches_no_foreign_memory() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("test the_walk_leaks_nothing_and_touches_no_foreign_memory ... skipped: no valgrind here");
        return;
    }
    let program = Program::built("walk");
    let mut command = program.command(&[
        "valgrind",
        "--quiet",
        "--error-exitcode=9",
        "--leak-check=full",
        "--show-leak-kinds=definite",
        "--errors-for-leak-kinds=definite",
        "--fair-sched=yes",
    ]);
    output_of(&mut command).unwrap();
}

#[test]
fn batches_are_handed_out_as_dlpack_tensors_that_own_their_memory() {
    let program = Program::built("dlpack");
    program.run();
    if Command::new("valgrind").arg("--version").output().is_ok() {
        let leaks = ["--quiet", "--error-exitcode=9", "--leak-check=full", "--fair-sched=yes"];
        let rules = ["--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"];
        let wrapper: Vec<&str> = ["valgrind"].into_iter().chain(leaks).chain(rules).collect();
        output_of(&mut program.command(&wrapper)).unwrap();
    }
}

#[test]
fn every_struct_grows_and_shrinks_by_the_rule() {
    Program::built("options").run();
}

#[test]
fn no_pointer_of_any_call_crashes_the_process() {
    Program::built("nulls").run();
}

#[test]
fn absurd_numbers_are_errors_and_neither_faults_nor_aborts() {
    Program::built("extremes").run();
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    Program::built("misuse").run();
}

#[test]
fn every_unknown_number_is_refused_by_the_name_of_its_field() {
    Program::built("enums").run();
}

#[test]
fn deflated_volumes_are_read_slab_by_slab_and_their_indexes_kept() {
    Program::built("index").run();
}

#[test]
fn the_log_tells_who_asked_when_and_where_he_asked() {
    let program = Program::built("log");
    program.run();
    let printed = |word: &str| {
        let output = program.command(&[]).env("VXF_LOG", word).arg("print").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for word in ["", "off", "error"] {
        assert_eq!(printed(word), "", "VXF_LOG={word}");
    }
    for word in ["warn", "info"] {
        let line = printed(word);
        assert!(
            line.starts_with("voxfeed: warning: ") && line.lines().count() == 1,
            "VXF_LOG={word}: {line}"
        );
    }
    let lines = printed("loud");
    assert!(lines.lines().count() == 2 && lines.contains("VXF_LOG is \"loud\""), "{lines}");
}

#[test]
fn handles_may_be_freed_in_any_order_and_from_any_thread() {
    Program::built("destroy").run();
}

#[test]
fn a_loader_can_be_cancelled_closed_and_shared_at_any_time() {
    Program::built("threads").run();
}

#[test]
fn a_forked_child_is_told_so_and_the_parent_goes_on() {
    Program::built("fork").run();
}

#[test]
fn an_assembler_works_on_in_a_forked_child() {
    Program::built("fork_helpers").run();
}

#[test]
fn a_library_that_is_closed_and_opened_again_still_works() {
    Program::built("reopen").run();
}

#[test]
fn without_a_gpu_nothing_fails_but_what_asks_for_one() {
    let program = Program::built("nocuda");
    program.run();
    let output = program.command(&[]).env("CUDA_VISIBLE_DEVICES", "").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[test]
fn a_file_that_shrinks_fails_its_own_batches_and_no_others() {
    Program::built("truncated").run();
}

#[test]
fn more_files_than_descriptors_are_no_trouble() {
    Program::built("many").run();
}

#[test]
fn batches_are_the_same_for_any_threads_and_after_any_restore() {
    Program::built("same").run();
}

#[test]
fn a_program_may_exit_while_a_loader_reads() {
    let program = Program::built("exit");
    for _ in 0..10 {
        program.run();
    }
}

#[test]
fn every_function_of_the_header_is_called_with_null() {
    let header = std::fs::read_to_string(root().join("include/voxfeed.h")).unwrap();
    let program = std::fs::read_to_string(root().join("tests/c/nulls.c")).unwrap();
    let functions = functions_of(&header);
    assert!(functions.len() > 50, "{functions:?}");
    let missing: Vec<_> = functions.iter().filter(|name| !program.contains(&format!("{name}("))).collect();
    assert!(missing.is_empty(), "tests/c/nulls.c does not call {missing:?}");
}

/// The names of the functions that a header declares.
fn functions_of(header: &str) -> Vec<String> {
    let declared = header.lines().filter(|line| !line.starts_with([' ', '#', '/', '*']));
    let names = declared.filter_map(|line| {
        let name = line.split_once('(')?.0.rsplit([' ', '*']).next()?;
        name.starts_with("vxf_").then(|| name.to_owned())
    });
    names.collect()
}

#[test]
fn structs_have_the_same_size_in_c_and_rust_and_no_padding() {
    use voxfeed::capi::assembler::vxf_assembler_options;
    use voxfeed::capi::dataset::vxf_file_options;
    use voxfeed::capi::dataset_options::vxf_dataset_options;
    use voxfeed::capi::library::vxf_error_info;
    use voxfeed::capi::loader::vxf_loader_stats;
    use voxfeed::capi::loader_options::{vxf_category, vxf_loader_options};
    use voxfeed::capi::pinned::vxf_pinned_allocator;
    use voxfeed::capi::sampler::vxf_sampler_options;
    use voxfeed::capi::tensor::{vxf_sample, vxf_tensor};
    use voxfeed::capi::volume::{vxf_region, vxf_volume_info};
    use voxfeed::capi::writer::{vxf_montage_column, vxf_montage_options, vxf_writer_options};
    macro_rules! sizes {
        ($($name:ident),*) => { vec![$((stringify!($name), size_of::<$name>())),*] };
    }
    let own = sizes![
        vxf_assembler_options,
        vxf_category,
        vxf_dataset_options,
        vxf_error_info,
        vxf_file_options,
        vxf_loader_options,
        vxf_loader_stats,
        vxf_montage_column,
        vxf_montage_options,
        vxf_pinned_allocator,
        vxf_region,
        vxf_sample,
        vxf_sampler_options,
        vxf_tensor,
        vxf_volume_info,
        vxf_writer_options
    ];
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("sizes.c");
    let prints: String =
        own.iter().map(|(name, _)| format!("    printf(\"{name} %zu\\n\", sizeof({name}));\n")).collect();
    let program =
        format!("#include <stdio.h>\n#include \"voxfeed.h\"\nint main(void) {{\n{prints}    return 0;\n}}\n");
    std::fs::write(&source, program).unwrap();
    let binary = folder.path().join("sizes");
    let mut compiler = Command::new("gcc");
    compiler.args(["-std=c99", "-Wall", "-Wextra", "-Wpadded", "-Werror", "-I"]).arg(root().join("include"));
    output_of(compiler.arg(&source).arg("-o").arg(&binary)).unwrap();
    let said = output_of(&mut Command::new(&binary)).unwrap();
    let expected: String = own.iter().map(|(name, size)| format!("{name} {size}\n")).collect();
    assert_eq!(said, expected);
    let header = std::fs::read_to_string(root().join("include/voxfeed.h")).unwrap();
    let structs = header.lines().filter(|line| line.starts_with("} vxf_")).count();
    assert_eq!(structs, own.len(), "a struct of the header is not compared");
}
