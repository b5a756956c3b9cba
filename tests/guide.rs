//! Each code excerpt in `docs/guide.md` is literally in the file named before it.

use std::fs;
use std::path::Path;

#[test]
fn each_excerpt_of_the_guide_is_in_its_file() {
    let guide = fs::read_to_string("docs/guide.md").unwrap();
    let mut count = 0;
    for part in guide.split("\nFrom [").skip(1) {
        let (_, rest) = part.split_once("](").unwrap();
        let (path, rest) = rest.split_once("):\n\n```").unwrap();
        let (_, rest) = rest.split_once('\n').unwrap();
        let (excerpt, _) = rest.split_once("\n```").unwrap();
        let file = fs::read_to_string(Path::new("docs").join(path)).unwrap();
        assert!(file.contains(excerpt), "not in {path}:\n{excerpt}");
        count += 1;
    }
    assert!(count >= 50, "only {count} excerpts were found");
}
