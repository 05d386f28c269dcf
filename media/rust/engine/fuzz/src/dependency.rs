//! The dependency descriptor of AV1, packet after packet as a stream has them.

use luokkasilta_engine::wire::dependency::{Dependency, Structure, renumber};

/// The target `dependency`: descriptors one behind the other, each behind its length in one octet. A structure that
/// one brings is known to those after it.
pub fn dependency(mut data: &[u8]) {
    let mut known: Option<Structure> = None;
    while let Some((&len, rest)) = data.split_first() {
        let (value, tail) = rest.split_at(usize::from(len).min(rest.len()));
        data = tail;
        let Ok(read) = Dependency::parse(value, known.as_ref()) else { continue };
        assert!(value.len() >= 3);
        let number = read.frame_number ^ 0x5a5a;
        let mut other = value.to_vec();
        renumber(&mut other, number);
        let again = Dependency::parse(&other, known.as_ref()).expect("what was renumbered");
        assert_eq!(again, Dependency { frame_number: number, ..read.clone() }, "the number and nothing else");
        if let Some(structure) = &read.structure {
            assert!(
                (1..=64).contains(&structure.templates.len()) && (1..=32).contains(&structure.targets.len())
            );
            assert!(
                structure.first_template < 64 && usize::from(structure.chains) <= structure.targets.len()
            );
            assert!(read.template.is_some(), "with its structure a frame has its level");
        }
        if let Some(template) = read.template {
            assert!(template.temporal_level < 8 && template.spatial_level < 8);
            assert!(template.opens.is_none_or(|level| level < 8));
        }
        known = read.structure.or(known);
    }
}
