//! Does the repository keep to what it says of itself?
//!
//! Each test reads the source as text and lists everything that is out of place, with what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use farmgate::metrics;
use farmgate::refusal::Refusal;

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 60;

/// Modules of one layer do not know each other, but for these, each of which only looks upwards in
/// the list of `src/lib.rs`: the process's state is sized by what only a restart can change.
const ARROWS_WITHIN_A_LAYER: [(&str, &str); 1] = [("state", "snapshot")];

/// The files that may name Pingora, each with what it needs of it.
const ADAPTERS: [(&str, &str); 25] = [
    ("src/admin.rs", "the HTTP server of the private listener"),
    ("src/answer.rs", "the head of an answer"),
    ("src/cache/coding.rs", "the head of a coding"),
    ("src/cache/compact.rs", "the head of a stored answer"),
    ("src/cache/object.rs", "the head of a stored answer"),
    ("src/cache/record.rs", "the head of a written answer"),
    ("src/cache/storage.rs", "the storage behind Pingora's cache"),
    ("src/proxy/body.rs", "reading request bodies"),
    ("src/proxy/edge.rs", "the wrapper that times request heads"),
    ("src/proxy/errand.rs", "the head of a request"),
    ("src/proxy/exchange.rs", "subrequests"),
    ("src/proxy/fill.rs", "the head of a fetch"),
    ("src/proxy/headers.rs", "heads in both directions"),
    ("src/proxy/interim.rs", "heads before the final one"),
    ("src/proxy/landing.rs", "the head of what came"),
    ("src/proxy/mod.rs", "the proxy's callbacks"),
    ("src/proxy/record.rs", "what a finished session says of itself"),
    ("src/proxy/last_peer.rs", "a connector inside the process"),
    ("src/proxy/respond.rs", "writing answers"),
    ("src/proxy/serve.rs", "the session of a client"),
    ("src/proxy/upstream.rs", "peers and their errors"),
    ("src/ratelimit/shield.rs", "the estimators of pingora-limits"),
    ("src/server.rs", "the composition root"),
    ("src/tasks/keeper.rs", "a background service"),
    ("src/tasks/lifecycle.rs", "the shutdown signal"),
];

#[test]
fn arrows_between_modules_point_down() {
    let layers = layers();
    let layer_of: BTreeMap<&str, usize> = layers
        .iter()
        .enumerate()
        .flat_map(|(layer, names)| names.iter().map(move |name| (name.as_str(), layer)))
        .collect();
    let mut wrong = Vec::new();
    for source in gateway_sources() {
        let Some(&from) = layer_of.get(source.module.as_str()) else { continue };
        for used in crate_modules_used(&source.code) {
            let Some(&to) = layer_of.get(used.as_str()) else { continue };
            let allowed = used == source.module
                || to < from
                || ARROWS_WITHIN_A_LAYER.contains(&(source.module.as_str(), used.as_str()));
            if !allowed {
                wrong.push(format!("{}: `{}` must not use `{used}`", source.path, source.module));
            }
        }
    }
    report("an arrow may only point up the list in src/lib.rs", wrong);
}

#[test]
fn every_module_stands_in_the_list_of_layers() {
    let layers = layers();
    assert!(layers.len() >= 8, "src/lib.rs lost its layers: {layers:?}");
    let listed: BTreeSet<&String> = layers.iter().flatten().collect();
    let missing = gateway_sources()
        .into_iter()
        .filter(|source| !["lib", "main"].contains(&source.module.as_str()))
        .filter(|source| !listed.contains(&source.module))
        .map(|source| source.path)
        .collect();
    report("a file belongs to no module of src/lib.rs", missing);
}

#[test]
fn files_of_one_module_have_no_cycle() {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in gateway_sources() {
        let Some((folder, file)) = source.path.rsplit_once('/') else { continue };
        let name = file.trim_end_matches(".rs");
        // A folder's `mod.rs` and its files are one thing in two places.
        if folder == "src" || name == "mod" {
            continue;
        }
        let used = siblings_used(&source, folder).into_iter().filter(|sibling| sibling != name);
        let used = used.map(|sibling| format!("{folder}/{sibling}.rs"));
        arrows.entry(source.path.clone()).or_default().extend(used);
    }
    let cycles = arrows
        .keys()
        .filter_map(|start| way_back(&arrows, start))
        .map(|way| way.join(" -> "))
        .collect();
    report("files of one folder use each other in a circle", cycles);
}

#[test]
fn pingora_is_named_in_adapters_only() {
    let naming: BTreeSet<String> = gateway_sources()
        .into_iter()
        .filter(|source| names_pingora(&source.code))
        .map(|source| source.path)
        .collect();
    let allowed: BTreeSet<String> = ADAPTERS.iter().map(|(path, _)| (*path).to_owned()).collect();
    let more = naming.difference(&allowed).map(|path| format!("{path} names Pingora"));
    let less = allowed.difference(&naming).map(|path| format!("{path} names Pingora no more"));
    report("the list of adapters in tests/tidy.rs does not hold", more.chain(less).collect());
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let silent = rust_files()
        .into_iter()
        .filter(|path| !read(path).starts_with("//! "))
        .map(|path| format!("{} does not begin with `//! `", shown(&path)))
        .collect();
    report("say at the top which question the file answers", silent);
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for path in rust_files().into_iter().filter(|path| !is_test_file(path)) {
        let text = without_tests(&read(&path));
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{} has {lines} lines", shown(&path)));
        }
        for (name, lines) in functions(&code_of(&text)) {
            if lines > FUNCTION_LINES_MAX {
                long.push(format!("{}: `{name}` has {lines} lines", shown(&path)));
            }
        }
    }
    report(&format!("at most {FILE_LINES_MAX} and {FUNCTION_LINES_MAX} lines"), long);
}

#[test]
fn every_shipped_configuration_compiles() {
    let mut wrong = Vec::new();
    let mut folders_of_pools = BTreeSet::new();
    let configurations: Vec<PathBuf> = files_below(&root().join("conf"))
        .into_iter()
        .filter(|path| is_yaml(path) && read(path).lines().any(|line| line == "routes:"))
        .collect();
    assert!(configurations.len() >= 2, "conf/ lost its configurations: {configurations:?}");
    for path in configurations {
        let text = read(&path);
        let checked = Command::new(env!("CARGO_BIN_EXE_farmgate"))
            .args(["check", "--config"])
            .arg(&path)
            .env_clear()
            .envs(variables_named(&text).into_iter().map(|name| (name.clone(), value_for(&name))))
            .output()
            .unwrap();
        if !checked.status.success() {
            wrong.push(String::from_utf8_lossy(&checked.stderr).into_owned());
        }
        let folder = text.lines().find_map(|line| line.strip_prefix("upstreams_dir: "));
        let folder = path.parent().unwrap().join(folder.unwrap_or("../upstreams").trim());
        folders_of_pools.insert(folder.canonicalize().unwrap());
    }
    // A configuration compiles every file of its folder of pools, so a file elsewhere is untried.
    for path in files_below(&root().join("upstreams")).into_iter().filter(|path| is_yaml(path)) {
        if !folders_of_pools.contains(path.canonicalize().unwrap().parent().unwrap()) {
            wrong.push(format!("{} belongs to no configuration of conf/", shown(&path)));
        }
    }
    report("a shipped configuration has faults", wrong);
}

#[test]
fn readme_lists_every_refusal_code() {
    expect_in_readme("refusal code", Refusal::CODES.iter().map(|code| format!("`{code}`")));
}

#[test]
fn readme_lists_every_metric() {
    expect_in_readme("metric", metrics::NAMES.iter().map(|name| format!("`{name}`")));
}

#[test]
fn readme_lists_every_admin_endpoint() {
    let text = without_tests(&read(&root().join("src/admin.rs")));
    let arms = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths: BTreeSet<String> = arms
        .filter(|line| line.contains("=>") || line.contains(" if "))
        .flat_map(|line| quoted(line).into_iter().filter(|text| text.starts_with('/')))
        .collect();
    assert!(paths.len() >= 4, "src/admin.rs answers {paths:?} only, or this test cannot read it");
    expect_in_readme("admin endpoint", paths.into_iter());
}

#[test]
fn readme_gives_a_reason_for_every_dependency() {
    let names: BTreeSet<String> = manifests()
        .iter()
        .filter(|path| **path != root().join("Cargo.toml"))
        .flat_map(|path| dependencies(&read(path)))
        .chain(dependencies(&read(&root().join("Cargo.toml"))))
        .filter(|name| !is_member(name))
        .map(|name| format!("`{name}`"))
        .collect();
    assert!(names.contains("`pingora`"), "the manifests cannot be read: {names:?}");
    expect_in_readme("dependency", names.into_iter());
}

#[test]
fn every_member_obeys_the_workspace_lints() {
    let free = manifests()
        .into_iter()
        .filter(|path| {
            let text = read(path);
            let section = text.split("[lints]\n").nth(1).unwrap_or_default();
            !section.trim_start().starts_with("workspace = true")
        })
        .map(|path| format!("{} has no `[lints] workspace = true`", shown(&path)))
        .collect();
    report("a package is outside the lints", free);
}

#[test]
fn nothing_is_left_undone_or_tied_to_one_machine() {
    // Put together from parts, or this file would hold what it looks for.
    let unwanted = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["X", "XX"].concat(),
        ["/root", "/"].concat(),
        ["/work", "/main"].concat(),
        ["/work", "/shared"].concat(),
        ["/tmp", "/house"].concat(),
    ];
    let mut found = Vec::new();
    for path in files_below(&root()).into_iter().filter(|path| is_prose_or_code(path)) {
        for (index, line) in read(&path).lines().enumerate() {
            for word in unwanted.iter().filter(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {word}", shown(&path), index + 1));
            }
        }
    }
    report("finish it, or write what holds everywhere", found);
}

/// Long enough for a token's secret, and base64 as a signing client's.
const SOME_SECRET: &str = "c29tZSBzZWNyZXQgb2YgZm9ydHktZWlnaHQgYnl0ZXMsIGZvciB0ZXN0cyBvbmx5";

/// One file of the gateway.
struct Source {
    /// From the root, with `/`.
    path: String,
    /// The top-level module it belongs to.
    module: String,
    /// Its text without tests, comments and strings.
    code: String,
}

#[track_caller]
fn report(rule: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[track_caller]
fn expect_in_readme(kind: &str, wanted: impl Iterator<Item = String>) {
    // Without a README everything is missing from it.
    let readme = fs::read_to_string(root().join("README.md")).unwrap_or_default();
    let missing = wanted
        .filter(|text| !readme.contains(text.as_str()))
        .map(|text| format!("{kind} {text}"))
        .collect();
    report("README.md leaves out", missing);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a folder, but for what is built and what version control keeps.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if entry.file_type().unwrap().is_dir() {
                if name != "target" && name != ".git" {
                    folders.push(entry.path());
                }
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    files
}

fn rust_files() -> Vec<PathBuf> {
    let files: Vec<_> = files_below(&root())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .collect();
    assert!(files.len() > 100, "the sources cannot be found");
    files
}

fn manifests() -> Vec<PathBuf> {
    files_below(&root()).into_iter().filter(|path| path.ends_with("Cargo.toml")).collect()
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// A value that fits the name of a variable: most are secrets.
fn value_for(name: &str) -> String {
    match name {
        "DATABASE_URL" => "mysql://reader:secret@127.0.0.1:3306/farm".to_owned(),
        "REDIS_URL" => "redis://127.0.0.1:6379".to_owned(),
        name if name.ends_with("_JSON") => format!("{{\"nextcloud\": \"{SOME_SECRET}\"}}"),
        _ => SOME_SECRET.to_owned(),
    }
}

fn is_prose_or_code(path: &Path) -> bool {
    const ENDINGS: [&str; 10] =
        ["rs", "toml", "md", "yaml", "yml", "sh", "service", "sql", "lua", "conf"];
    const NAMES: [&str; 4] = ["Makefile", "Dockerfile", "run", "Caddyfile"];
    path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
        || path.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known))
}

/// Whether the whole file is a test.
fn is_test_file(path: &Path) -> bool {
    let shown = shown(path);
    let in_tests = shown.contains("/tests/") || shown.starts_with("tests/");
    (in_tests && !shown.starts_with("tests/harness/src/")) || shown.ends_with("/tests.rs")
}

fn gateway_sources() -> Vec<Source> {
    let files = files_below(&root().join("src"));
    let files = files.into_iter().filter(|path| !is_test_file(path));
    files
        .map(|path| {
            let shown = shown(&path);
            let below = shown.trim_start_matches("src/").trim_end_matches(".rs");
            let module = below.split('/').next().unwrap_or_default().to_owned();
            let code = code_of(&without_tests(&read(&path)));
            Source { path: shown, module, code }
        })
        .collect()
}

/// The modules of `src/lib.rs`, one list a layer, lowest first.
fn layers() -> Vec<Vec<String>> {
    let text = read(&root().join("src/lib.rs"));
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let modules = paragraph.lines().filter_map(|line| line.strip_prefix("pub mod "));
        modules.map(|name| name.trim_end_matches(';').to_owned()).collect::<Vec<_>>()
    });
    paragraphs.filter(|names| !names.is_empty()).collect()
}

/// The first names behind `crate::` in some code; both `crate::a` and `crate::{a, b}`.
fn crate_modules_used(code: &str) -> BTreeSet<String> {
    names_behind(code, "crate::")
}

/// The names of files of the same folder that a file uses, by `super::` or by the whole path.
fn siblings_used(source: &Source, folder: &str) -> BTreeSet<String> {
    let whole = format!("crate::{}::", folder.trim_start_matches("src/").replace('/', "::"));
    let mut names = names_behind(&source.code, "super::");
    names.extend(names_behind(&source.code, &whole));
    names.retain(|name| root().join(folder).join(format!("{name}.rs")).exists());
    names
}

fn names_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split(prefix).skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => names.extend(members(list)),
            None => {
                names.insert(word(rest));
            }
        }
    }
    names.remove("");
    names
}

/// The first names of `a::b, c::{d, e}, f}` on its own level.
fn members(list: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut expects_name) = (0, true);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expects_name = true,
            c if expects_name && !c.is_whitespace() => {
                names.push(word(&list[at..]));
                expects_name = false;
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// A way from `start` back to it, when there is one; told only from its first file by name.
fn way_back(arrows: &BTreeMap<String, BTreeSet<String>>, start: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in arrows.get(way.last()?).into_iter().flatten() {
            let mut longer = way.clone();
            longer.push(next.clone());
            if next == start {
                return Some(longer);
            }
            if next.as_str() > start && seen.insert(next.clone()) {
                ways.push(longer);
            }
        }
    }
    None
}

fn names_pingora(code: &str) -> bool {
    code.match_indices("pingora").any(|(at, _)| {
        let rest = code[at..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        rest.starts_with("::")
    })
}

/// The text up to its module of tests, and what follows that.
fn without_tests(text: &str) -> String {
    let Some((before, tests)) = text.split_once("#[cfg(test)]\nmod tests {\n") else {
        return text.replace("#[cfg(test)]\nmod tests;\n", "");
    };
    let after = tests.split_once("\n}\n").map_or("", |(_, after)| after);
    format!("{before}{after}")
}

/// The text with comments and the insides of literals blanked, line by line as it was.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            string_length(rest)
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |at| at + 2)
        } else if first == '\'' {
            character_length(rest)
        } else {
            0
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    code
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; 0 for a lifetime.
fn character_length(text: &str) -> usize {
    if text.starts_with("'\\") {
        // The escaped character may itself be the quote.
        return text.get(3..).and_then(|rest| rest.find('\'')).map_or(0, |at| at + 4);
    }
    let mut characters = text.char_indices().skip(2);
    characters.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
}

/// The functions of some code by name, each with the number of lines of its body that say
/// something.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let begins_a_word = code[..at].chars().next_back().is_none_or(char::is_whitespace);
        let name = word(&code[at + 3..]);
        if !begins_a_word || name.is_empty() {
            continue;
        }
        let Some(open) = code[at..].find(['{', ';']).map(|offset| at + offset) else { continue };
        if code[open..].starts_with('{') {
            let body = &code[open..open + block_length(&code[open..])];
            let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
            found.push((name, lines.saturating_sub(2)));
        }
    }
    found
}

fn block_length(text: &str) -> usize {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// The texts between double quotes of one line.
fn quoted(line: &str) -> Vec<String> {
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names behind `env:` in a configuration.
fn variables_named(text: &str) -> BTreeSet<String> {
    text.split("env:").skip(1).map(word).filter(|name| !name.is_empty()).collect()
}

/// The names in the sections of dependencies of a manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.trim_end_matches(']').ends_with("dependencies");
        } else if inside && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            names.push(line[..end].to_owned());
        }
    }
    names
}

/// Whether a dependency is a package of this workspace.
fn is_member(name: &str) -> bool {
    let line = format!("name = \"{name}\"");
    manifests().iter().any(|path| read(path).lines().any(|have| have == line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a(); // pingora::x\nlet b = \"crate::c \\\" {\"; let d = '{'; fn e<'f>() {}\n";
        let code = code_of(text);
        assert_eq!(code, "a(); \nlet b = ; let d = ; fn e<'f>() {}\n");
        assert_eq!(functions(&code), [("e".to_owned(), 0)]);
    }

    #[test]
    fn names_of_nested_uses_are_found() {
        let code = "use crate::{a::b, c::{d, e}, f}; crate::g::h(); use super::super::i;";
        let names: Vec<String> = crate_modules_used(code).into_iter().collect();
        assert_eq!(names, ["a", "c", "f", "g"]);
    }
}
