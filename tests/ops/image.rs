//! Does the Dockerfile build what there is, and run it as nobody in particular?

use std::path::Path;

use crate::{PROGRAMS, root, text};

/// A Dockerfile's instructions, continuation lines joined, by stage.
fn stages(dockerfile: &str) -> Vec<(String, String, Vec<String>)> {
    let joined: Vec<&str> = dockerfile.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = joined.join("\n").replace("\\\n", " ");
    let mut stages: Vec<(String, String, Vec<String>)> = Vec::new();
    for line in joined.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(from) = line.strip_prefix("FROM ") {
            let (base, name) = from.split_once(" AS ").expect("every stage has a name");
            stages.push((name.to_owned(), base.to_owned(), Vec::new()));
        } else {
            stages.last_mut().expect("FROM comes first").2.push(line.to_owned());
        }
    }
    stages
}

#[test]
fn the_image_copies_only_what_exists() {
    let stages = stages(&text("Dockerfile"));
    let ignored = text(".dockerignore");
    for (at, (stage, _, instructions)) in stages.iter().enumerate() {
        for copy in instructions.iter().filter_map(|line| line.strip_prefix("COPY ")) {
            let words: Vec<&str> = copy.split_whitespace().collect();
            if let Some(from) = words[0].strip_prefix("--from=") {
                assert!(stages[..at].iter().any(|(name, ..)| name == from), "{stage}: {copy}");
                continue;
            }
            for source in &words[..words.len() - 1] {
                assert!(
                    root().join(source).exists(),
                    "{stage} copies {source}, which is not there"
                );
                let left_out = ignored.lines().any(|line| Path::new(source).starts_with(line));
                assert!(!left_out, "{stage} copies {source}, which .dockerignore leaves out");
            }
        }
    }
}

#[test]
fn every_image_runs_its_own_program_and_not_as_root() {
    let stages = stages(&text("Dockerfile"));
    for image in PROGRAMS {
        let mut name = image;
        let mut instructions: Vec<&str> = Vec::new();
        while let Some((_, base, own)) = stages.iter().find(|(stage, ..)| stage == name) {
            instructions.extend(own.iter().rev().map(String::as_str));
            name = base;
        }
        assert!(name.contains(':'), "{image} builds on {name}, which has no tag");
        let last = |key: &str| instructions.iter().find_map(|line| line.strip_prefix(key));
        let user = last("USER ").unwrap_or("root");
        assert!(
            !["0", "root"].contains(&user.split(':').next().unwrap()),
            "{image} runs as {user}"
        );
        let program = format!("/usr/local/bin/{image}");
        assert_eq!(last("ENTRYPOINT "), Some(format!("[\"{program}\"]").as_str()), "{image}");
        let built = format!("COPY --from=builder /build/target/release/{image} {program}");
        assert!(instructions.contains(&built.as_str()), "{image}");
    }
    let (_, _, builder) = stages.iter().find(|(name, ..)| name == "builder").unwrap();
    for package in PROGRAMS.map(|image| format!("--package {image}")) {
        let builds = builder.iter().filter(|line| line.starts_with("RUN cargo"));
        assert_eq!(builds.filter(|line| line.contains(&package)).count(), 2, "{package}");
    }
}
