using Dapr.Workflow;
using Microsoft.Extensions.Logging;
using static RenderTrust.Workflow.Tests.Replay.Entry;

namespace RenderTrust.Workflow.Tests.Replay;

public sealed class LoggerTests
{
    [Fact]
    public void A_replay_safe_logger_writes_each_line_once()
    {
        using var provider = new ListLoggerProvider();
        using var loggers = LoggerFactory.Create(logging => logging.AddProvider(provider));
        static async Task<string> Logging(WorkflowContext context)
        {
            var logger = context.CreateReplaySafeLogger<LoggerTests>();
            logger.LogInformation("before");
            await context.CallActivityAsync("A");
            logger.LogInformation("after");
            return "done";
        }

        Code.Run(Logging, [], [Turn(), Started()], loggers);
        Code.Run(Logging, [Turn(), Started(), Scheduled(0, "A")], [Turn(1), Done(0)], loggers);

        Assert.Equal(["before", "after"], provider.Lines);
    }

    private sealed class ListLoggerProvider : ILoggerProvider, ILogger
    {
        public List<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Lines.Add(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
