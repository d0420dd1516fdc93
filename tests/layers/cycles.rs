//! Import cycles between the files of `src`.
//!
//! A file imports another one if a path in it leads there, outside code for tests. A path leads to
//! the file of the longest module that it begins with; if that module only re-exports the item,
//! the path leads to where the item comes from.
//!
//! Two relations of a parent module to its children are part of their hierarchy and do not count:
//! a child may use the items of the modules above it, and `mod child;` and a re-export do not make
//! a parent import its child.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Import, Source};

/// Maximum number of files that may import one another in a circle.
const CYCLE_FILES_MAX: usize = 8;
/// Maximum number of re-exports that a path leads through.
const REEXPORTS_MAX: usize = 8;

/// The files that are not only for tests, by module path.
type Modules<'a> = BTreeMap<Vec<String>, (usize, &'a Source)>;

/// Files and the imports between them.
struct Graph {
    names: Vec<String>,
    imports: Vec<BTreeSet<usize>>,
}

impl Graph {
    fn new(sources: &[Source]) -> Graph {
        let tests = test_modules(sources);
        let is_test = |path: &[String]| tests.iter().any(|test| path.starts_with(test));
        let kept: Vec<&Source> = sources
            .iter()
            .filter(|source| !source.is_test && !is_test(&source.module_path()))
            .collect();
        let modules: Modules<'_> = kept
            .iter()
            .enumerate()
            .map(|(at, source)| (source.module_path(), (at, *source)))
            .collect();
        let imports = kept.iter().enumerate().map(|(at, source)| {
            let mut imports = imported(source, &modules);
            imports.remove(&at);
            imports
        });
        let imports = imports.collect();
        Graph {
            names: kept.iter().map(|source| format!("{}.rs", source.name())).collect(),
            imports,
        }
    }

    /// Returns the files that can be reached from one by its imports.
    fn reached(&self, from: usize) -> BTreeSet<usize> {
        let (mut reached, mut ahead) = (BTreeSet::new(), vec![from]);
        while let Some(at) = ahead.pop() {
            ahead.extend(self.imports[at].iter().filter(|next| reached.insert(**next)));
        }
        reached
    }

    /// Returns the groups of files that import one another in circles, the largest first.
    fn cycles(&self) -> Vec<BTreeSet<usize>> {
        let reached: Vec<BTreeSet<usize>> =
            (0..self.names.len()).map(|from| self.reached(from)).collect();
        let group = |from: usize| -> BTreeSet<usize> {
            reached[from].iter().copied().filter(|to| reached[*to].contains(&from)).collect()
        };
        let groups: BTreeSet<BTreeSet<usize>> =
            (0..self.names.len()).map(group).filter(|group| group.len() > 1).collect();
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        groups
    }

    /// Lists the files of a cycle and what each of them imports from the others.
    fn describe(&self, cycle: &BTreeSet<usize>) -> String {
        let mut text = format!("{} files import one another:\n", cycle.len());
        for at in cycle {
            let others = self.imports[*at].intersection(cycle).map(|to| self.names[*to].as_str());
            let others: Vec<&str> = others.collect();
            text.push_str(&format!("  {} imports {}\n", self.names[*at], others.join(", ")));
        }
        text
    }
}

/// Returns the modules that are compiled for tests only.
fn test_modules(sources: &[Source]) -> Vec<Vec<String>> {
    let child = |source: &Source, name: &str| {
        let mut path = source.module_path();
        path.push(name.to_owned());
        path
    };
    let children = sources.iter().flat_map(|source| {
        let tests = source.children.iter().filter(|child| child.is_test);
        tests.map(move |test| child(source, &test.name))
    });
    children.collect()
}

/// Returns the files that the paths of a file lead to, without those of the modules above it.
fn imported(source: &Source, modules: &Modules<'_>) -> BTreeSet<usize> {
    let is_used = |import: &&Import| {
        let mut declared = import.declared.iter();
        !import.in_tests
            && declared.all(|declared| !declared.is_public || source.words.contains(&declared.name))
    };
    let paths = source.imports.iter().filter(is_used).filter_map(|import| path(source, import));
    let targets: BTreeSet<usize> =
        paths.filter_map(|path| target(&path, modules, REEXPORTS_MAX)).collect();
    let own = source.module_path();
    let above = (0..own.len()).filter_map(|length| Some(modules.get(&own[..length])?.0));
    &targets - &above.collect()
}

/// Returns the path of an import from the root of the crate; `None` if it leads out of the crate.
fn path(source: &Source, import: &Import) -> Option<Vec<String>> {
    if let Some(path) = import.in_crate() {
        return Some(path.to_vec());
    }
    // It may begin with a child module.
    let path = import.path();
    let first = path.split("::").next()?;
    let is_child = source.children.iter().any(|child| child.name == first);
    is_child.then(|| {
        let rest = path.split("::").map(str::to_owned);
        source.module_path().into_iter().chain(rest).collect()
    })
}

/// Returns the file that a path leads to through at most `reexports` re-exports.
fn target(from_root: &[String], modules: &Modules<'_>, reexports: usize) -> Option<usize> {
    let mut lengths = (1..=from_root.len()).rev();
    let (length, (at, source)) =
        lengths.find_map(|length| Some((length, *modules.get(&from_root[..length])?)))?;
    let Some((item, rest)) = from_root[length..].split_first() else { return Some(at) };
    let declares = |import: &&Import| {
        !import.in_tests && import.declared.as_ref().is_some_and(|declared| declared.name == *item)
    };
    match source.imports.iter().find(declares) {
        Some(import) if reexports > 0 => {
            let origin = [path(source, import)?.as_slice(), rest].concat();
            target(&origin, modules, reexports - 1)
        }
        _ => Some(at),
    }
}

/// Returns a description of each cycle that is too large.
pub(super) fn faults(sources: &[Source]) -> Vec<String> {
    let graph = Graph::new(sources);
    let cycles = graph.cycles().into_iter();
    cycles
        .filter(|cycle| cycle.len() > CYCLE_FILES_MAX)
        .map(|cycle| graph.describe(&cycle))
        .collect()
}

/// Returns the names of the files of each cycle.
fn cycles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let sources: Vec<Source> = files.iter().map(|(name, text)| Source::read(name, text)).collect();
    let graph = Graph::new(&sources);
    let names = |cycle: BTreeSet<usize>| {
        let mut names: Vec<String> = cycle.iter().map(|at| graph.names[*at].clone()).collect();
        names.sort();
        names
    };
    graph.cycles().into_iter().map(names).collect()
}

#[test]
fn cycle_is_found_across_use_paths_and_super() {
    let files = [
        ("a/mod.rs", "mod b;\nmod c;\nfn f() { b::x() }"),
        ("a/b.rs", "use super::c::{self, C};\nuse super::A;"),
        ("a/c.rs", "type T = crate::d::T;"),
        ("d.rs", "use super::a::b::B;"),
        ("e.rs", "use crate::a::b::B;"),
        ("lib.rs", "mod a;\nmod d;"),
    ];
    assert_eq!(cycles(&files), [["a/b.rs", "a/c.rs", "d.rs"]]);
}

#[test]
fn imports_of_the_parent_and_in_tests_make_no_cycle() {
    let parent = "mod b;\n#[cfg(test)]\nmod tests;\nuse b::B;\n#[cfg(test)]\nuse crate::d::D;\n\
                  #[cfg(test)]\nfn f() { crate::d::x() }\n\
                  mod inline { #[cfg(test)] mod t { use crate::d::C; } }";
    let files = [
        ("a/mod.rs", parent),
        ("a/b.rs", "use super::A;"),
        ("a/tests.rs", "use crate::d::D;"),
        ("c.rs", "#![cfg(test)]\nuse crate::d::D;"),
        ("d.rs", "use crate::{a::A, c::C};"),
        ("e.rs", "struct E {\n#[cfg(test)]\nf: crate::g::G,\nh: u8 }"),
        ("g.rs", "use crate::e::E;"),
    ];
    assert_eq!(cycles(&files), Vec::<Vec<String>>::new());
}

#[test]
fn imports_after_code_for_tests_count() {
    let code_after_tests = "#[cfg(test)]\nuse x::{A, B};\nuse crate::g::G;";
    let files = [("e.rs", code_after_tests), ("g.rs", "use crate::e::E;")];
    assert_eq!(cycles(&files), [["e.rs", "g.rs"]]);
}

#[test]
fn path_through_a_reexport_leads_to_the_origin() {
    let reexport = "mod b;\npub(crate) use b::B;\npub(crate) use crate::c::inner as d;";
    let files =
        [("a/mod.rs", reexport), ("a/b.rs", "use super::d::D;"), ("c.rs", "use crate::a::B;")];
    assert_eq!(cycles(&files), [["a/b.rs", "c.rs"]]);
    let uses_it = format!("{reexport}\nfn f() -> B {{}}");
    let files = [
        ("a/mod.rs", uses_it.as_str()),
        ("a/b.rs", "use crate::c::C;"),
        ("c.rs", "use crate::a::A;"),
    ];
    assert_eq!(cycles(&files), [["a/b.rs", "a/mod.rs", "c.rs"]]);
}
