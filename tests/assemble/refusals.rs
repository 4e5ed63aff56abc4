//! What is refused, and that it changes nothing.

use std::sync::Arc;

use crate::in_memory::plan;
use crate::{add, batches_of, blended, grid, make, samples, slices, source, take};
use voxfeed::assemble::{Assembler, AssemblerOptions, Blend, Prediction};
use voxfeed::error::{Error, ErrorKind};
use voxfeed::plan::Border;
use voxfeed::store::{Dataset, Entry, GeometryCheck, Header, OpenOptions, Origin, Subject};
use voxfeed::voxel::{DType, Shape};

#[test]
fn predictions_that_do_not_fit_leave_the_sums_as_they_were() {
    let plan = make(&[vec![8, 8]], grid(&[4, 4], &[0, 0], Border::Drop), batches_of(2));
    let all = samples(&plan, 0);
    let assembler = Assembler::new(plan.clone(), blended(Blend::Mean)).unwrap();
    add(&assembler, &all[..2]).unwrap();
    let values = vec![5.0f32; 1000];
    let bytes: &[u8] = bytemuck::cast_slice(&values);
    let refused = |shape: &[usize], strides: Option<&[isize]>, bytes: &[u8]| {
        let prediction = Prediction { strides, ..Prediction::dense(bytes, DType::F32, shape) };
        let error = assembler.add(&all[2..], &prediction).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument, "{error}");
        assert_eq!(assembler.outstanding(0).unwrap(), 2);
        error.message().to_owned()
    };
    assert!(refused(&[2, 1, 4, 5], None, bytes).contains("shape (4, 5), expected (4, 4)"));
    assert!(refused(&[2, 1, 4, 3], None, bytes).contains("shape (4, 3), expected (4, 4)"));
    assert!(refused(&[2, 1, 16], None, bytes).contains("shape (16), expected (4, 4)"));
    assert!(refused(&[2, 1, 1, 4, 4], None, bytes).contains("shape (1, 4, 4)"));
    assert!(refused(&[3, 1, 4, 4], None, bytes).contains("3 rows, the batch 2 samples"));
    assert!(refused(&[2, 2, 4, 4], None, bytes).contains("2 channels, those before it had 1"));
    assert!(refused(&[2], None, bytes).contains("1 axes"));
    assert!(refused(&[2, 0, 4, 4], None, bytes).contains("no voxel"));
    assert!(refused(&[2, 1, 0, 4], None, bytes).contains("no voxel"));
    assert!(refused(&[2, 1, 4, 4], None, &bytes[..127]).contains("127 bytes, expected 128"));
    assert!(refused(&[2, 1, 4, 4], Some(&[500, 500, 125, 42]), bytes).contains("expected 4008"));
    assert!(refused(&[2, 1, 4, 4], Some(&[16, 16, 4, -1]), bytes).contains("leave its memory"));
    assert!(refused(&[2, 1, 4, 4], Some(&[16, 4, 1]), bytes).contains("4 axes but 3 strides"));
    assert!(refused(&[2, 1, 4, 4], Some(&[isize::MAX, 1, 1, 1]), bytes).contains("larger than any memory"));
    assert!(refused(&[2, usize::MAX, 4, 4], None, bytes).contains("larger than any memory"));
    let other = make(&[vec![8, 8]], grid(&[4, 4], &[1, 1], Border::Drop), batches_of(2));
    assert_eq!(add(&assembler, &samples(&other, 0)[1..3]).unwrap_err().kind(), ErrorKind::Argument);
    add(&assembler, &all[2..]).unwrap();
    assert_eq!(take(&assembler, 0), source(&plan, 0));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let plan = make(&[vec![3]], slices(&[0]), batches_of(1));
    let refused = |options| Assembler::new(plan.clone(), options).unwrap_err().kind();
    let base = AssemblerOptions::default();
    assert_eq!(refused(AssemblerOptions { dtype: DType::I16, ..base }), ErrorKind::Argument);
    for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(AssemblerOptions { sigma, ..base }), ErrorKind::Argument);
    }
}

/// A volume of which only the header exists.
#[derive(Debug)]
struct Vast(Header);

impl voxfeed::store::Volume for Vast {
    fn header(&self) -> &Header {
        &self.0
    }

    fn blocks(
        &self,
        _: &voxfeed::store::Window,
        _: &mut voxfeed::store::Scratch,
        _: voxfeed::store::TakeBlock<'_>,
    ) -> Result<(), Error> {
        Err(Error::unsupported("no voxels"))
    }
}

#[test]
fn sums_that_no_machine_holds_are_an_error_and_not_an_abort() {
    for (extent, kind) in [(1usize << 45, ErrorKind::Memory), (1 << 61, ErrorKind::Range)] {
        let shape = Shape::new(&[extent, 1]).unwrap();
        let origin = Origin::default();
        let header = Header { shape, channels: 1, dtype: DType::U8, scale: None, affine: None, origin };
        let mut subject = Subject::new("vast");
        subject.add("images", Entry::new("T1", Arc::new(Vast(header))), GeometryCheck::Strict).unwrap();
        let mut dataset = Dataset::new(OpenOptions::default());
        dataset.add_subject(subject).unwrap();
        let rule = Arc::new(voxfeed::plan::Uniform::new(&[2, 1], 3));
        let plan = plan(Arc::new(dataset), rule, batches_of(1)).unwrap();
        let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
        let prediction = Prediction::dense(&[0; 8], DType::F32, &[1, 1, 2, 1]);
        assert_eq!(assembler.add(&samples(&plan, 0)[..1], &prediction).unwrap_err().kind(), kind);
        assert_eq!(assembler.outstanding(0).unwrap_err().kind(), ErrorKind::State);
    }
}
