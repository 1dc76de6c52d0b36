//! Arithmetic on slices of `f32`, compiled for each width of vectors; which one runs is chosen at run time.
//!
//! # Layout
//! - [`amx`]: products of matrices on the tiles of newer Intel processors;
//! - [`math`]: functions of each element, norms, softmax;
//! - [`product`]: products of matrices;
//! - [`quantised`]: matrices whose elements are kept in four or eight bits.

pub(crate) mod amx;
pub(crate) mod math;
pub(crate) mod product;
pub(crate) mod quantised;

/// Defines a function that is compiled once for each width of vectors, and again without any. Its body sees the type `S`,
/// which says which of them it is.
macro_rules! wide {
    ($(#[$doc:meta])* $seen:vis fn $name:ident<$life:lifetime>($($argument:ident: $type:ty),* $(,)?) $(-> $out:ty)? = $body:ident;) => {
        $(#[$doc])*
        $seen fn $name<$life>($($argument: $type),*) $(-> $out)? {
            struct Work<$life> {
                $($argument: $type,)*
                life: std::marker::PhantomData<&$life ()>,
            }
            impl<$life> pulp::WithSimd for Work<$life> {
                type Output = wide!(@out $($out)?);
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
                    $body::<S>($(self.$argument),*)
                }
            }
            $crate::kernel::widest().dispatch(Work { $($argument,)* life: std::marker::PhantomData })
        }
    };
    (@out) => { () };
    (@out $out:ty) => { $out };
}
pub(crate) use wide;

/// The widest vectors of this machine.
#[cfg(not(test))]
pub(crate) fn widest() -> pulp::Arch {
    pulp::Arch::new()
}
#[cfg(test)]
pub(crate) use widths::widest;

/// How many partial sums are kept: enough for the widest vectors, twice.
pub(crate) const LANES: usize = 32;

/// `a * b + c`, in one instruction where there is one.
#[inline(always)]
pub(crate) fn madd<S: pulp::Simd>(a: f32, b: f32, c: f32) -> f32 {
    // Without the instruction `mul_add` is a call of a slow function.
    if S::IS_SCALAR { a * b + c } else { a.mul_add(b, c) }
}

/// The sum of what the lanes hold.
#[inline(always)]
pub(crate) fn sum(lanes: &[f32; LANES]) -> f32 {
    let mut lanes = *lanes;
    let mut half = LANES / 2;
    while half > 0 {
        let (low, high) = lanes.split_at_mut(half);
        for (low, high) in low.iter_mut().zip(&*high) {
            *low += high;
        }
        half /= 2;
    }
    lanes[0]
}

/// Every width of vectors that this machine has, one after the other.
#[cfg(test)]
pub(crate) mod widths {
    use std::cell::Cell;

    use pulp::Arch;

    thread_local! {
        static CHOSEN: Cell<Arch> = Cell::new(Arch::new());
    }

    pub(crate) fn widest() -> Arch {
        CHOSEN.get()
    }

    /// Runs a test on this thread with none, the middle ones and the widest.
    pub(crate) fn each(test: impl Fn()) {
        let mut all = vec![Arch::Scalar];
        #[cfg(target_arch = "x86_64")]
        all.extend(pulp::x86::V3::try_new().map(Arch::V3));
        all.push(Arch::new());
        for width in all {
            CHOSEN.set(width);
            test();
        }
    }
}
