//! The dependency descriptor (RTP Payload Format For AV1, appendix A): an RTP header extension that tells a forwarder
//! which frame a packet belongs to, and of which level, without a look into the payload.
//!
//! A key frame brings a structure along, templates to which later packets refer by number; so what a packet says can
//! be read only with the structure that was read before.

mod bits;

use super::{be16, error_enum, octet};
use bits::Bits;

/// Octets that every descriptor has (section A.8.2, mandatory_descriptor_fields).
const MANDATORY_LEN: usize = 3;
/// template_id is six bits wide.
const MAX_TEMPLATES: usize = 64;
/// dt_cnt_minus_one is five bits wide.
const MAX_TARGETS: usize = 32;
/// A level that the format can say at most; more next-layer marks are damage.
const MAX_LEVEL: u8 = 7;
/// A decode target indication: the target can be begun with this frame (table A.1).
const SWITCH: u8 = 2;

error_enum! {
    /// Why a header extension is no dependency descriptor.
    DependencyError {
        TooShort => "dependency descriptor: ends before what it says",
        TooManyTemplates => "dependency descriptor: more than 64 templates",
        BadLevel => "dependency descriptor: a level above 7",
        BadTemplate => "dependency descriptor: a template that its structure does not have",
    }
}

/// What a template says of the frames that refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// 0 is the base.
    pub spatial_level: u8,
    /// 0 is the base.
    pub temporal_level: u8,
    /// See [`Dependency::opens`].
    pub opens: Option<u8>,
}

/// template_dependency_structure, as far as a forwarder needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The number of the first template.
    pub first_template: u8,
    /// Chains, by whose number the descriptor of each frame may be longer.
    pub chains: u8,
    /// At most 64, never none.
    pub templates: Vec<Template>,
    /// The highest temporal level of each decode target; at most 32, never none.
    pub targets: Vec<u8>,
    /// Width and height of each spatial level in pixels, where they are said.
    pub sizes: Vec<(u32, u32)>,
}

/// One packet's descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The packet is the first of its frame.
    pub start_of_frame: bool,
    /// The packet is the last of its frame.
    pub end_of_frame: bool,
    /// Counts the frames of the stream, over all levels.
    pub frame_number: u16,
    /// A new structure, for this packet and those after it.
    pub structure: Option<Structure>,
    /// Bit n: decode target n is still sent.
    pub active_targets: Option<u32>,
    /// Of the frame; `None` while its structure is not known.
    pub template: Option<Template>,
}

impl Dependency {
    /// Reads the value of the header extension. `known` is the structure that the stream's last key frame brought.
    pub fn parse(value: &[u8], known: Option<&Structure>) -> Result<Self, DependencyError> {
        let flags = octet(value, 0).ok_or(DependencyError::TooShort)?;
        let mut dependency = Self {
            start_of_frame: flags & 0x80 != 0,
            end_of_frame: flags & 0x40 != 0,
            frame_number: be16(value, 1).ok_or(DependencyError::TooShort)?,
            structure: None,
            active_targets: None,
            template: None,
        };
        dependency.read_extended(flags & 0x3f, &value[MANDATORY_LEN..], known)?;
        Ok(dependency)
    }

    /// The frame's level in time, 0 the base.
    pub fn temporal_level(&self) -> Option<u8> {
        self.template.map(|template| template.temporal_level)
    }

    /// Whoever decodes this frame can decode all later ones up to this level in time.
    pub fn opens(&self) -> Option<u8> {
        self.template.and_then(|template| template.opens)
    }

    fn read_extended(
        &mut self,
        template: u8,
        octets: &[u8],
        known: Option<&Structure>,
    ) -> Result<(), DependencyError> {
        let mut bits = Bits::new(octets);
        let mut custom_targets = false;
        if !octets.is_empty() {
            let has_structure = bits.flag()?;
            let has_active_targets = bits.flag()?;
            custom_targets = bits.flag()?;
            // Custom differences and chains tell a decoder what it needs; nothing here reads on behind them.
            bits.read(2)?;
            if has_structure {
                self.structure = Some(Structure::read(&mut bits)?);
            }
            let Some(structure) = self.structure.as_ref().or(known) else { return Ok(()) };
            if has_active_targets {
                self.active_targets = Some(bits.read(structure.targets.len() as u32)?);
            }
        }
        let Some(structure) = self.structure.as_ref().or(known) else { return Ok(()) };
        let at = template.wrapping_sub(structure.first_template) & 0x3f;
        let mut found = *structure.templates.get(usize::from(at)).ok_or(DependencyError::BadTemplate)?;
        if custom_targets {
            let indications = read_indications(&mut bits, structure.targets.len())?;
            found.opens = opened(&indications, &structure.targets);
        }
        self.template = Some(found);
        Ok(())
    }
}

impl Structure {
    fn read(bits: &mut Bits<'_>) -> Result<Self, DependencyError> {
        let first_template = bits.read(6)? as u8;
        let target_count = bits.read(5)? as usize + 1;
        debug_assert!(target_count <= MAX_TARGETS);
        let layers = read_layers(bits)?;
        let indications: Vec<Vec<u8>> =
            layers.iter().map(|_| read_indications(bits, target_count)).collect::<Result<_, _>>()?;
        // Frame differences: each behind a flag that says that one follows.
        for _ in &layers {
            while bits.flag()? {
                bits.read(4)?;
            }
        }
        let chains = bits.read_below(target_count as u32 + 1)?;
        if chains > 0 {
            for _ in 0..target_count {
                bits.read_below(chains)?;
            }
            for _ in 0..layers.len() * chains as usize {
                bits.read(4)?;
            }
        }
        // A decode target reaches as high as the highest frame that is present in it.
        let targets: Vec<u8> = (0..target_count)
            .map(|target| {
                let present = layers.iter().zip(&indications).filter(|(_, each)| each[target] != 0);
                present.map(|((_, temporal), _)| *temporal).max().unwrap_or(0)
            })
            .collect();
        let templates = layers
            .iter()
            .zip(&indications)
            .map(|(&(spatial_level, temporal_level), each)| Template {
                spatial_level,
                temporal_level,
                opens: opened(each, &targets),
            })
            .collect();
        let mut sizes = Vec::new();
        if bits.flag()? {
            let highest = layers.last().map_or(0, |(spatial, _)| *spatial);
            for _ in 0..=highest {
                sizes.push((bits.read(16)? + 1, bits.read(16)? + 1));
            }
        }
        Ok(Self { first_template, chains: chains as u8, templates, targets, sizes })
    }
}

/// template_layers: (spatial, temporal) of each template.
fn read_layers(bits: &mut Bits<'_>) -> Result<Vec<(u8, u8)>, DependencyError> {
    let (mut spatial, mut temporal) = (0_u8, 0_u8);
    let mut layers = Vec::new();
    loop {
        if layers.len() == MAX_TEMPLATES {
            return Err(DependencyError::TooManyTemplates);
        }
        layers.push((spatial, temporal));
        match bits.read(2)? {
            0 => {}
            1 => temporal += 1,
            2 => (spatial, temporal) = (spatial + 1, 0),
            _ => return Ok(layers),
        }
        if spatial > MAX_LEVEL || temporal > MAX_LEVEL {
            return Err(DependencyError::BadLevel);
        }
    }
}

/// One indication of two bits for each decode target.
fn read_indications(bits: &mut Bits<'_>, targets: usize) -> Result<Vec<u8>, DependencyError> {
    (0..targets).map(|_| bits.read(2).map(|value| value as u8)).collect()
}

/// The highest level of the targets that can be begun with a frame of these indications.
fn opened(indications: &[u8], targets: &[u8]) -> Option<u8> {
    indications.iter().zip(targets).filter(|(each, _)| **each == SWITCH).map(|(_, level)| *level).max()
}

/// Puts another frame number into a descriptor, or a copy of it. One that is too short is left as it is.
pub fn renumber(value: &mut [u8], frame_number: u16) {
    if let Some([_, high, low, ..]) = value.get_mut(..) {
        [*high, *low] = frame_number.to_be_bytes();
    }
}

#[cfg(test)]
mod tests;
