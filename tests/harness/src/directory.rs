//! A directory of its own for one test, removed with it.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

static MADE: AtomicU64 = AtomicU64::new(0);

/// A fresh temporary directory, removed with all it holds when dropped.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Makes an empty directory that no other test uses.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new() -> Self {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("farmgate-{}-{number}-{}", std::process::id(), crate::nonce());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, replacing it in one step as an operator's tool does, and returns its path.
    ///
    /// # Panics
    /// When the name leads out of the directory or the file cannot be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        assert!(inside, "{name:?} does not name a file inside the directory");
        let path = self.0.join(name);
        let draft = self.0.join(format!("{name}.draft"));
        let parent = path.parent().expect("a file inside the directory has a parent");
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&draft, contents))
            .and_then(|()| fs::rename(&draft, &path))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A failure here must not hide the failure of the test that is ending.
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_vanishes_with_its_owner() {
        let directory = Directory::new();
        let file = directory.write("conf/gateway.yaml", "a: 1");
        assert_eq!(fs::read_to_string(&file).unwrap(), "a: 1");
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
        let path = directory.path().to_owned();
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    #[should_panic(expected = "does not name a file inside the directory")]
    fn file_outside_the_directory_is_refused() {
        Directory::new().write("../escape", "");
    }
}
