//! What the fuzz targets do, over their seeds and a few hundred mutations of them: enough to keep them compiling and to
//! notice what breaks at once. `scripts/fuzz` searches in earnest.

#[path = "../../fuzz/bodies/mod.rs"]
mod bodies;

use bodies::BODIES;
use std::fs;
use std::path::Path;

/// The content of all files with this ending in a folder.
fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let wanted = paths.iter().filter(|path| path.extension().is_some_and(|found| found == ending));
    wanted.map(|path| fs::read(path).unwrap()).collect()
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    match name {
        "configuration" => {
            let mut seeds = files("tests/configs/invalid", "yaml");
            seeds.extend(files("tests/configs", "yaml"));
            seeds.push(fs::read("config.yaml").unwrap());
            seeds
        }
        "classifier" | "http" => {
            // A recorded answer follows on what it means; where there was none, nothing does.
            let answer = |file: Vec<u8>| {
                let at = file.windows(2).position(|two| two == b"\n\n")?;
                Some(file[at + 2..].to_vec())
            };
            files("tests/fixtures/answers", "http").into_iter().filter_map(answer).collect()
        }
        "sts" => files("fuzz/seeds/sts", "http"),
        "world" => vec![fs::read("src/simulator/worlds/default.yaml").unwrap()],
        "web_file" => {
            let mut seeds = files("deploy/prometheus", "yaml");
            seeds.extend(files("tests/configs/includes", "yaml"));
            seeds
        }
        _ => Vec::new(),
    }
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound.max(1)
    }
}

/// A seed with a few places changed: a byte, a piece left out, doubled, or taken from another seed.
fn mutated(numbers: &mut Numbers, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        let end = (at + numbers.below(40)).min(bytes.len());
        match numbers.below(5) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len());
                let piece = other[from..(from + 40).min(other.len())].to_vec();
                bytes.splice(at..end, piece);
            }
            _ => bytes.truncate(end),
        }
    }
    bytes
}

#[test]
fn every_target_bears_its_seeds_and_some_mutations() {
    for (name, body) in BODIES {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name}");
        seeds.iter().for_each(|seed| body(seed));
        let mut numbers = Numbers(0x5eed_5eed_5eed);
        for _ in 0..300 {
            body(&mutated(&mut numbers, &seeds));
        }
    }
}

#[test]
fn every_target_has_a_program() {
    let manifest = fs::read_to_string("fuzz/Cargo.toml").unwrap();
    let script = fs::read_to_string("scripts/fuzz").unwrap();
    for (name, _) in BODIES {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(script.contains(name), "{name}");
        let target = fs::read_to_string(format!("fuzz/fuzz_targets/{name}.rs")).unwrap();
        assert!(target.contains("fuzz_target!"), "{name}");
    }
}
