//! Two processes train a small regression together, and print the mean of their losses.
//!
//! `torchrun --no-python --nproc-per-node 2 target/debug/examples/two_processes` starts both. Without a launcher the program starts itself
//! twice, as a launcher would. In Python, with the same numbers (`torchrun --nproc-per-node 2 two_processes.py`):
//!
//! ```python
//! import torch
//! import torch.distributed as dist
//! from torch import nn
//!
//! torch.set_num_threads(1)
//! dist.init_process_group("gloo")
//! torch.manual_seed(0)
//! net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
//! ddp = nn.parallel.DistributedDataParallel(net)
//! optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
//! torch.manual_seed(1 + dist.get_rank())
//! x = torch.randn(256, 4)
//! y = x.sin().sum(1, keepdim=True)
//! for step in range(1, 101):
//!     optimizer.zero_grad()
//!     loss = nn.functional.mse_loss(ddp(x), y)
//!     loss.backward()
//!     optimizer.step()
//!     if step % 20 == 0:
//!         mean = loss.detach().clone()
//!         dist.all_reduce(mean)
//!         if dist.get_rank() == 0:
//!             print(f"step {step}: loss {mean.item() / 2:.10f}")
//! dist.barrier()
//! dist.destroy_process_group()
//! ```

use std::error::Error;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use tch::nn::{VarStore, seq};
use tch::{Device, Kind, Reduction, Tensor};
use tch_c10d::{DistributedDataParallel, Job, Launch};
use tch_extra::nn::linear;
use tch_extra::optim::{Optimizer, Sgd};

fn main() -> Result<(), Box<dyn Error>> {
    match Launch::from_env()? {
        Some(launch) => train(&Job::join(launch, Duration::from_secs(60))?),
        None => start_twice(),
    }
}

fn train(job: &Job) -> Result<(), Box<dyn Error>> {
    tch::set_num_threads(1);
    let group = job.group(Device::Cpu)?;
    tch_extra::manual_seed(0);
    let vs = VarStore::new(Device::Cpu);
    let net = seq();
    let net =
        net.add(linear(&(vs.root() / 0), 4, 16)).add_fn(|x| x.relu()).add(linear(&(vs.root() / 2), 16, 1));
    let ddp = DistributedDataParallel::new(&group, &vs, None)?;
    let net = ddp.around(Box::new(net));
    let mut optimizer = Sgd::new(vs.trainable_variables(), 0.1);
    tch_extra::manual_seed(1 + group.rank() as u64);
    let x = Tensor::randn([256, 4], (Kind::Float, Device::Cpu));
    let y = x.sin().sum_dim_intlist(1, true, None::<Kind>);
    for step in 1..=100 {
        optimizer.zero_grad();
        let loss = net.forward_t(&x, true).mse_loss(&y, Reduction::Mean);
        loss.backward();
        optimizer.step();
        if step % 20 == 0 {
            let mut mean = loss.detach().copy();
            group.all_reduce(&mut mean)?;
            if group.rank() == 0 {
                println!("step {step}: loss {:.10}", mean.double_value(&[]) / 2.0);
            }
        }
    }
    Ok(())
}

/// What a launcher does: five variables tell each process who it is, and where they meet.
fn start_twice() -> Result<(), Box<dyn Error>> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let program = std::env::current_exe()?;
    let start = |rank: &str| {
        let place = [("RANK", rank), ("LOCAL_RANK", rank), ("WORLD_SIZE", "2")];
        let meeting = [("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", &port)];
        Command::new(&program).envs(place).envs(meeting).spawn()
    };
    for mut process in [start("0")?, start("1")?] {
        if !process.wait()?.success() {
            return Err("a process failed".into());
        }
    }
    Ok(())
}
