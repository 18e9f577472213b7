//! Ranks as threads of one process, each with its own connection.

use std::thread;
use std::time::Duration;

use tch::{Device, Kind, Tensor};

use crate::threads::{connect, free_port};
use crate::{ExchangeTimes, ProcessGroup, Reducer, ranks_in_threads};

const TIMEOUT: Duration = Duration::from_secs(20);

fn floats(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.detach().reshape([-1])).unwrap()
}

#[test]
fn what_one_rank_sets_another_gets() {
    let got = ranks_in_threads(2, TIMEOUT, |rank, store, group| {
        assert!(!store.has("nobody sets this").unwrap());
        if rank == 1 {
            store.set("key", &[0, 255, rank as u8]).unwrap();
        }
        let got = store.get("key", TIMEOUT).unwrap();
        group.barrier().unwrap();
        assert!(store.has("key").unwrap());
        assert!(store.get("nobody sets this", Duration::from_millis(50)).is_err());
        got
    });
    assert_eq!(got, [[0, 255, 1], [0, 255, 1]]);
}

#[test]
fn sums_and_broadcasts_reach_every_rank() {
    let got = ranks_in_threads(3, TIMEOUT, |rank, _, group| {
        let mut sum = Tensor::from_slice(&[rank as f32, 10.0]);
        group.all_reduce(&mut sum).unwrap();
        let mine = [Tensor::from_slice(&[rank as f32 + 5.0]), Tensor::from_slice(&[rank as i64 + 7])];
        group.broadcast(&mine).unwrap();
        assert_eq!((group.rank(), group.size()), (rank, 3));
        (floats(&sum), floats(&mine[0]), mine[1].int64_value(&[0]))
    });
    for got in got {
        assert_eq!(got, (vec![3.0, 30.0], vec![5.0], 7));
    }
}

/// Not a number has many bit patterns, and keeps the one it has.
#[test]
fn every_rank_gets_what_each_gives() {
    let not_a_number = f64::from_bits(f64::NAN.to_bits() | 5);
    let got = ranks_in_threads(3, TIMEOUT, |rank, _, group| {
        let mine = Tensor::from_slice2(&[[rank as f64, -0.0], [not_a_number, 1e300]]).tr();
        let all = group.all_gather(&mine).unwrap();
        assert_eq!(all.size(), [3, 2, 2]);
        let scalars = group.all_gather(&Tensor::from(rank as i64)).unwrap();
        assert_eq!(Vec::<i64>::try_from(scalars).unwrap(), [0, 1, 2]);
        Vec::<f64>::try_from(all.reshape([-1])).unwrap().into_iter().map(f64::to_bits).collect::<Vec<_>>()
    });
    let expected = [0.0, 1.0, 2.0].map(|rank| [rank, not_a_number, -0.0, 1e300].map(f64::to_bits)).concat();
    assert!(got.iter().all(|got| got == &expected), "{got:x?}");
}

#[test]
fn bytes_are_rank_0s_on_every_rank() {
    for sent in [None, Some(Vec::new()), Some(vec![1, 0, 255])] {
        let got = ranks_in_threads(2, TIMEOUT, |rank, _, group| {
            let mine = if rank == 0 { sent.clone() } else { Some(vec![7; 9]) };
            group.broadcast_bytes(mine).unwrap()
        });
        assert_eq!(got, [sent.clone(), sent]);
    }
}

/// With L = a * S² on rank a - 1, and S the sum of the shares: dL/dshare, over all ranks' losses, is (1 + 2) * 2 S.
#[test]
fn gradients_flow_through_a_sum_over_ranks_in_threads() {
    let got = ranks_in_threads(2, TIMEOUT, |rank, _, group| {
        let share = Tensor::from_slice(&[1.0f32, rank as f32]).set_requires_grad(true);
        let sum = group.sum(&share).unwrap();
        ((&sum * &sum).sum(Kind::Float) * (rank + 1) as f64).backward();
        (floats(&sum), floats(&share), floats(&share.grad()))
    });
    for (rank, got) in got.into_iter().enumerate() {
        assert_eq!(got, (vec![2.0, 1.0], vec![1.0, rank as f32], vec![12.0, 6.0]));
    }
}

#[test]
fn a_rank_that_does_not_come_is_not_waited_for_forever() {
    ranks_in_threads(2, Duration::from_secs(2), |rank, store, group| {
        if rank == 0 {
            let error = group.all_reduce(&mut Tensor::from(1.0f32)).unwrap_err();
            assert!(error.to_string().starts_with("libtorch: "), "{error}");
            store.set("waited", &[]).unwrap();
        } else {
            store.get("waited", TIMEOUT).unwrap();
        }
    });
}

/// The last of three ranks comes when the others have given up: it waits for them, not for what they would send.
#[test]
fn a_rank_that_comes_too_late_is_alone() {
    let port = free_port();
    let stores = [0, 1, 2].map(|rank| connect(port, rank).unwrap());
    let join = |rank: usize| {
        let group = ProcessGroup::new(&stores[rank], rank, 3, Device::Cpu, Duration::from_millis(50));
        group.map(drop).unwrap_err().to_string()
    };
    let join = &join;
    let early = thread::scope(|scope| {
        [0, 1].map(|rank| scope.spawn(move || join(rank))).map(|rank| rank.join().unwrap())
    });
    for error in early.into_iter().chain([join(2)]) {
        assert!(error.contains("wait timeout") && error.contains("here/"), "{error}");
    }
}

#[test]
fn parameters_of_another_shape_are_refused() {
    let refused = ranks_in_threads(2, TIMEOUT, |rank, _, group| {
        let params = [Tensor::zeros([2, 3 + rank as i64], tch::kind::FLOAT_CPU)];
        group.verify_shapes(&params).map_err(|error| error.to_string())
    });
    let error = refused[1].as_ref().unwrap_err();
    assert!(error.contains("appears not to match"), "{error}");
}

/// What NCCL says of a machine without a GPU comes back as an error.
#[test]
fn a_group_on_cuda_needs_a_gpu() {
    ranks_in_threads(1, TIMEOUT, |_, store, _| {
        match ProcessGroup::new(store, 0, 1, Device::Cuda(0), TIMEOUT) {
            Ok(_) => assert!(tch::Cuda::is_available()),
            Err(error) => {
                let error = error.to_string();
                assert!(["CUDA", "NVIDIA", "GPU"].iter().any(|word| error.contains(word)), "{error}");
            }
        }
    });
}

/// Two layers whose gradients differ from rank to rank: after the backward pass each has the mean, in every step, with the
/// first buckets and with those that follow; and again with a reducer that is given the layout.
#[test]
fn gradients_are_averaged_in_buckets_that_can_be_kept() {
    let got = ranks_in_threads(3, TIMEOUT, |rank, _, group| {
        let leaf = |size: &[i64]| {
            let values = Tensor::arange(size.iter().product::<i64>(), tch::kind::FLOAT_CPU).reshape(size);
            (values / 7.0).set_requires_grad(true)
        };
        // Three buckets of 1 MiB and of 25 MiB at most.
        let params = [leaf(&[300_000]), leaf(&[2, 3]), leaf(&[7_000_000]), leaf(&[5])];
        let reducer = Reducer::new(group, &params, None).unwrap();
        let first = reducer.layout().unwrap();
        assert!(reducer.times().unwrap().is_none());
        let step = |reducer: &Reducer| {
            reducer.before_forward().unwrap();
            let scale = (rank + 1) as f64;
            let loss = params.iter().map(|p| (p * p).sum(Kind::Float)).reduce(|a, b| a + b).unwrap() * scale;
            reducer.after_forward().unwrap();
            loss.backward();
            for param in &params {
                // The mean of 2p, 4p and 6p, each divided by 3 first.
                let expected =
                    [2.0f32, 4.0, 6.0].map(|factor| param * f64::from(factor) * (1.0f32 / 3.0) as f64);
                let expected = expected.iter().fold(param.zeros_like(), |sum, part| sum + part);
                let largest = |tensor: Tensor| tensor.abs().max().double_value(&[]);
                assert!(largest(param.grad() - &expected) <= 1e-6 * largest(expected));
                tch_extra::clear_grad(&mut param.shallow_clone());
            }
        };
        step(&reducer);
        let rebuilt = reducer.layout().unwrap();
        step(&reducer);
        assert!(reducer.layout().unwrap() == rebuilt);
        let ExchangeTimes { exchange, hidden } = reducer.times().unwrap().unwrap();
        assert!(Duration::ZERO < hidden && hidden <= exchange, "{hidden:?} of {exchange:?}");
        drop(reducer);

        let reducer = Reducer::new(group, &params, Some(&rebuilt)).unwrap();
        assert!(reducer.layout().unwrap() == rebuilt);
        step(&reducer);
        assert!(reducer.layout().unwrap() == rebuilt);
        let bad = Reducer::new(group, &params[..2], Some(&rebuilt)).unwrap_err();
        assert!(bad.to_string().contains("buckets are those of another network"), "{bad}");
        drop(reducer);

        // Without a reducer, gradients are a rank's own again.
        params[3].sum(Kind::Float).backward();
        assert_eq!(floats(&params[3].grad()), [1.0; 5]);
        [first, rebuilt].map(|layout| Vec::<i64>::try_from(layout.reshape([-1])).unwrap())
    });
    let [first, rebuilt] = &got[0];
    assert_eq!(first, &[0, 0, 0, 1, 0, 2, 0, 3], "one bucket");
    assert!(rebuilt.iter().step_by(2).max() > Some(&0), "several buckets: {rebuilt:?}");
    assert!(got.iter().all(|layouts| layouts == &got[0]));
}

#[test]
fn what_cannot_be_exchanged_is_refused() {
    ranks_in_threads(1, TIMEOUT, |_, _, group| {
        let matrix = Tensor::zeros([3, 4], tch::kind::FLOAT_CPU);
        for gaps in [matrix.narrow(1, 0, 2), Tensor::zeros([1], tch::kind::FLOAT_CPU).expand([5000], false)] {
            let errors = [group.all_reduce(&mut gaps.shallow_clone()), group.broadcast(&[gaps])];
            assert!(
                errors
                    .into_iter()
                    .all(|error| error.unwrap_err().to_string().contains("cannot be exchanged"))
            );
        }
        group.all_reduce(&mut matrix.tr()).unwrap();
        for params in
            [Vec::new(), vec![matrix.shallow_clone()], vec![matrix.copy().set_requires_grad(true) * 2]]
        {
            assert!(Reducer::new(group, &params, None).unwrap_err().to_string().contains("parameter"));
        }
        assert!(group.verify_shapes(&[]).is_err());
    });
}
