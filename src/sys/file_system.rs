//! Where a file lies: on this machine's disks, or behind a network or another process.

use std::path::Path;

/// The numbers by which statfs(2) tells file systems behind a network, a host or another process, and those
/// that several machines share.
///
/// Source: the kernel's `linux/magic.h`, and the clients' own sources for those that it does not have.
#[cfg(target_os = "linux")]
const REMOTE: [u32; 19] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB 2 and 3
    0x564C,      // NCP
    0x00C3_6400, // Ceph
    0x0102_1997, // 9P
    0x5346_414F, // OpenAFS
    0x6B41_4653, // the kernel's AFS
    0x7375_7245, // Coda
    0x6573_5546, // FUSE, which is virtiofs and sshfs, too
    0x7461_636F, // OCFS2
    0x0116_1970, // GFS2
    0x786F_4256, // VirtualBox's shared folders
    0x0BD0_0BD0, // Lustre
    0x4750_4653, // GPFS, which is Spectrum Scale
    0x1983_0326, // BeeGFS
    0x2003_0528, // OrangeFS, once PVFS2
    0xAAD7_AAEA, // Panasas
];

/// Whether a file lies on a network or user-space file system, where maps are slow or unsafe.
pub fn is_network_file(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        let Ok(name) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
        let mut status = std::mem::MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: the name ends in NUL and the status has the size that the call writes.
        let result = unsafe { libc::statfs(name.as_ptr(), status.as_mut_ptr()) };
        if result != 0 {
            return false;
        }
        // SAFETY: the call succeeded, so it has written the whole status.
        let status = unsafe { status.assume_init() };
        REMOTE.contains(&(status.f_type as u32))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_folder_is_local_and_so_is_what_does_not_exist() {
        assert!(!is_network_file(Path::new("no/such/file")));
        assert!(!is_network_file(&std::env::temp_dir()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn every_network_file_system_that_the_kernel_names_is_known() {
        let Ok(header) = std::fs::read_to_string("/usr/include/linux/magic.h") else {
            eprintln!("skipped in part: no kernel headers here");
            return;
        };
        let names = ["NFS", "SMB", "CIFS", "SMB2", "NCP", "CEPH", "V9FS", "AFS", "AFS_FS", "CODA", "FUSE"];
        for name in names.into_iter().chain(["OCFS2"]) {
            let definition = header.lines().find_map(|line| {
                let mut words = line.split_whitespace().skip(1);
                let defined = words.next()?;
                let own =
                    [format!("{name}_SUPER_MAGIC"), format!("{name}_MAGIC"), format!("{name}_MAGIC_NUMBER")];
                own.iter().any(|own| own == defined).then(|| words.next())?
            });
            let number = definition.unwrap_or_else(|| panic!("{name} is not in the header"));
            let number = u32::from_str_radix(number.trim_start_matches("0x"), 16).unwrap();
            assert!(REMOTE.contains(&number), "{name} {number:#x}");
        }
    }
}
