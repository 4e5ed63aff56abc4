//! How much the processor's caches hold.

use std::path::Path;
use std::sync::OnceLock;

/// The bytes that are taken for the largest cache's where the system does not say.
const USUAL: usize = 32 << 20;

/// The bytes of the largest cache that a core reads through, which it may share with others.
pub fn largest_cache() -> usize {
    static LARGEST: OnceLock<usize> = OnceLock::new();
    *LARGEST.get_or_init(|| largest_in(Path::new("/sys/devices/system/cpu/cpu0/cache")).unwrap_or(USUAL))
}

/// The largest of the caches that a folder of the system describes, one folder each.
fn largest_in(folder: &Path) -> Option<usize> {
    let caches = std::fs::read_dir(folder).ok()?.flatten();
    caches.filter_map(|cache| bytes(&std::fs::read_to_string(cache.path().join("size")).ok()?)).max()
}

/// A size as Linux writes it: "32768K".
fn bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.trim_end_matches(['K', 'M']);
    let unit = match text.strip_prefix(digits)? {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_cache_of_a_folder_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(largest_in(folder.path()), None);
        for (name, size) in [("index0", "32K\n"), ("index3", "16384K\n"), ("index2", "1M"), ("power", "")] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("size"), size).unwrap();
        }
        std::fs::create_dir(folder.path().join("index4")).unwrap();
        assert_eq!(largest_in(folder.path()), Some(16 << 20));
        assert_eq!(largest_in(&folder.path().join("none")), None);
        assert!(largest_cache() >= 1 << 10);
    }

    #[test]
    fn what_is_no_size_is_none() {
        for text in ["", "K", "0K", "12G", "KK", "-1K", "1KM", "99999999999999999999K"] {
            assert_eq!(bytes(text), None, "{text:?}");
        }
        assert_eq!((bytes("48K\n"), bytes("2M"), bytes("512")), (Some(48 << 10), Some(2 << 20), Some(512)));
    }
}
