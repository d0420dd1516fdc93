//! Parts that jobs have in common are in memory once.

use super::*;

#[test]
fn equal_parts_of_jobs_are_shared_until_no_job_has_them() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.job("b", CONFIG, ACTION);
    rig.job("c", CONFIG.replace("0 *", "5 *"), ACTION.replace("\"t\"", "\"u\""));
    rig.scan();
    let job = |rig: &Rig, name: &str| Arc::clone(rig.jobs.get(&name.parse().unwrap()).unwrap());
    let (a, b, c) = (job(&rig, "a"), job(&rig, "b"), job(&rig, "c"));
    assert!(Arc::ptr_eq(&a.config, &b.config) && Arc::ptr_eq(&a.config, &c.config));
    assert!(Arc::ptr_eq(&a.schedule, &b.schedule) && !Arc::ptr_eq(&a.schedule, &c.schedule));
    assert!(Arc::ptr_eq(&a.action, &b.action) && !Arc::ptr_eq(&a.action, &c.action));
    let (schedule, action) = (Arc::downgrade(&c.schedule), Arc::downgrade(&c.action));
    drop((a, b, c));
    rig.write("c/entity.cfg", CONFIG);
    rig.write("c/action.json", ACTION);
    assert_eq!(rig.scan(), ["changed c"]);
    assert!(Arc::ptr_eq(&job(&rig, "a").action, &job(&rig, "c").action));
    assert_eq!(rig.scan(), [""; 0]);
    assert!(schedule.upgrade().is_none() && action.upgrade().is_none());
}
