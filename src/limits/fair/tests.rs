use futures_util::FutureExt as _;

use super::*;

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn one_key_may_hold_all_permits_and_another_gets_the_next() {
    let semaphore = FairSemaphore::new(3, 100);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(semaphore.acquire("a", 0, LONG).await.unwrap());
    }
    let mut first = Box::pin(semaphore.acquire("a", 0, LONG));
    let mut second = Box::pin(semaphore.acquire("b", 0, LONG));
    let mut third = Box::pin(semaphore.acquire("b", 0, LONG));
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(waiting.now_or_never().is_none());
    }
    assert_eq!((semaphore.in_use(), semaphore.waiting()), (3, 3));
    held.pop();
    let b = (&mut second).now_or_never().expect("b holds none, and a holds two").unwrap();
    assert!((&mut first).now_or_never().is_none());
    held.pop();
    let a = (&mut first).now_or_never().expect("both hold one, and b had the last").unwrap();
    drop((held, a, b));
    drop(third.now_or_never().expect("permits are free").unwrap());
    assert_eq!((semaphore.in_use(), semaphore.waiting()), (0, 0));
    assert!(semaphore.0.lock().shares.is_empty());
}

#[tokio::test]
async fn keys_take_turns_for_a_single_permit() {
    let semaphore = FairSemaphore::new(1, 100);
    let mut held = Some(semaphore.acquire("a", 0, LONG).await.unwrap());
    let queue = |key| Box::pin(semaphore.acquire(key, 0, LONG));
    let mut waiting: Vec<_> =
        ["a", "a", "a", "b", "b", "c"].into_iter().map(|key| (key, queue(key))).collect();
    for (_, request) in &mut waiting {
        assert!(request.now_or_never().is_none());
    }
    let mut order = String::new();
    while held.take().is_some() {
        let granted = waiting.iter_mut().enumerate().find_map(|(index, (key, request))| {
            Some((index, *key, request.now_or_never()?.unwrap()))
        });
        held = granted.map(|(index, key, permit)| {
            drop(waiting.remove(index));
            order += key;
            permit
        });
    }
    assert_eq!(order, "abcaba");
}

#[tokio::test]
async fn the_oldest_request_of_a_key_goes_first() {
    let semaphore = FairSemaphore::new(1, 3);
    let held = semaphore.acquire("a", 1, LONG).await.unwrap();
    let queue = |request| Box::pin(semaphore.acquire("a", request, LONG));
    let mut waiting = [3, 2, 3].map(queue);
    assert!(waiting.iter_mut().all(|request| request.now_or_never().is_none()));
    let other = Box::pin(semaphore.acquire("b", 9, LONG)).now_or_never();
    assert!(other.is_none(), "it takes the place of the newest");
    drop(held);
    let [first, second, third] = &mut waiting;
    assert!(third.now_or_never().expect("it has lost its place").is_err());
    assert!(first.now_or_never().is_none(), "request 2 is older");
    drop(second.now_or_never().expect("it is next").unwrap());
    drop(first.now_or_never().expect("then request 3").unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_gives_up_leaves_the_queue() {
    let semaphore = FairSemaphore::new(1, 2);
    let held = semaphore.acquire("a", 0, LONG).await.unwrap();
    let late = semaphore.acquire("b", 0, Duration::from_secs(1)).await;
    assert!(matches!(late, Err(Error::Unavailable)));
    let mut dropped = Box::pin(semaphore.acquire("b", 0, LONG));
    assert!((&mut dropped).now_or_never().is_none());
    let mut waiting = Box::pin(semaphore.acquire("b", 0, LONG));
    assert!((&mut waiting).now_or_never().is_none());
    let full = semaphore.acquire("b", 0, LONG).now_or_never();
    assert!(matches!(full, Some(Err(Error::Unavailable))), "two requests wait");
    drop(dropped);
    drop(held);
    drop(waiting.now_or_never().expect("the permit is not lost").unwrap());
    assert_eq!((semaphore.in_use(), semaphore.waiting()), (0, 0));
}

#[tokio::test]
async fn a_full_queue_drops_the_newest_request_of_the_longest() {
    let semaphore = FairSemaphore::new(1, 4);
    let held = semaphore.acquire("a", 0, LONG).await.unwrap();
    let mut many: Vec<_> = (0..4).map(|_| Box::pin(semaphore.acquire("a", 0, LONG))).collect();
    assert!(many.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
    let mut other = Box::pin(semaphore.acquire("b", 0, LONG));
    assert!((&mut other).now_or_never().is_none(), "it waits");
    let ended = many.pop().unwrap().now_or_never();
    assert!(matches!(ended, Some(Err(Error::Unavailable))), "the newest has lost its place");
    let mut next = Box::pin(semaphore.acquire("b", 0, LONG));
    assert!((&mut next).now_or_never().is_none(), "two of each wait");
    let further = semaphore.acquire("b", 0, LONG).now_or_never();
    assert!(matches!(further, Some(Err(Error::Unavailable))), "no queue is longer");
    drop(held);
    let first = many.remove(0).now_or_never();
    assert!((&mut other).now_or_never().is_none(), "the last permit of a is older");
    drop(first.expect("a is next"));
    assert!(other.now_or_never().is_some(), "and then b");
}

/// A key with a queue is not overtaken by keys that come back again and again.
#[tokio::test]
async fn a_waiting_key_is_served_between_keys_that_return() {
    let semaphore = FairSemaphore::new(1, 100);
    let mut held = semaphore.acquire("a", 0, LONG).await.unwrap();
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(semaphore.acquire("b", 0, LONG))).collect();
    assert!(waiting.iter_mut().all(|request| request.now_or_never().is_none()));
    let mut rounds = 0;
    while !waiting.is_empty() {
        let mut next = Box::pin(semaphore.acquire(["a", "c"][rounds % 2], 0, LONG));
        assert!((&mut next).now_or_never().is_none());
        drop(held);
        if let Some(permit) = (&mut waiting[0]).now_or_never() {
            drop(permit.unwrap());
            drop(waiting.remove(0));
        }
        held = next.now_or_never().expect("it follows").unwrap();
        rounds += 1;
        assert!(rounds <= 6, "{} requests of b still wait", waiting.len());
    }
}

/// Each request gets its permit as soon as another is released.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_waits_while_a_permit_is_free() {
    let semaphore = FairSemaphore::new(1, 1_000);
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let semaphore = semaphore.clone();
            tokio::spawn(async move {
                for _ in 0..20_000 {
                    drop(semaphore.acquire(task % 2, 0, LONG).await.unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        timeout(LONG / 2, task).await.expect("a request sleeps").unwrap();
    }
}

/// Each permit is either free or held, whatever is cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn no_permit_is_lost_when_requests_are_cancelled_at_random() {
    let semaphore = FairSemaphore::new(4, 1_000);
    let tasks: Vec<_> = (0..40u64)
        .map(|task| {
            let semaphore = semaphore.clone();
            tokio::spawn(async move {
                for n in 0..200 {
                    let max_wait = Duration::from_micros((task * 7 + n * 13) % 300);
                    let permit = semaphore.acquire(task % 3, 0, max_wait).await;
                    tokio::task::yield_now().await;
                    drop(permit);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((semaphore.in_use(), semaphore.waiting()), (0, 0));
    assert_eq!(semaphore.0.lock().free, 4);
}

#[tokio::test]
async fn a_key_with_few_permits_takes_them_from_the_reserve() {
    let semaphore = FairSemaphore::new(2, 100).with_reserve(2, 1);
    let mut held = vec![semaphore.try_acquire("a").unwrap(), semaphore.try_acquire("a").unwrap()];
    assert!(semaphore.try_acquire("a").is_none(), "the rest is the reserve");
    let b = semaphore.try_acquire("b").expect("it holds none");
    assert!(semaphore.try_acquire("b").is_none(), "now it holds one");
    assert!(semaphore.has_share("a") && !semaphore.has_share("b"));
    let mut waiting = Box::pin(semaphore.acquire("a", 0, LONG));
    assert!((&mut waiting).now_or_never().is_none());
    drop(b);
    assert!((&mut waiting).now_or_never().is_none(), "the reserve is full again");
    held.pop();
    held.push(waiting.now_or_never().expect("a permit beyond the reserve is free").unwrap());
    drop(held);
    assert_eq!((semaphore.in_use(), semaphore.0.lock().free), (0, 4));
}
