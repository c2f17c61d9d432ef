using RenderTrust.Scheduler;

await SchedulerHost.Build(args).RunAsync();
