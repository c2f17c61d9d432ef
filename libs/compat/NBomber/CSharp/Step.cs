using NBomber.Contracts;
using NBomber.Running;

namespace NBomber.CSharp;

/// <summary>A measured part of an iteration.</summary>
public static class Step
{
    /// <summary>
    /// Runs and measures one step. Where failed steps end their iteration (the default), a failure throws an exception of this library: do not catch it.
    /// </summary>
    public static async Task<Response<T>> Run<T>(string name, IScenarioContext context, Func<Task<Response<T>>> run)
    {
        var copy = context as ScenarioContext ?? throw new ArgumentException("This context is not the one that the scenario was given.", nameof(context));
        if (string.IsNullOrWhiteSpace(name) || name == Measurements.Global)
        {
            throw new ArgumentException($"A step is called '{name}'. Give it a name other than nothing and '{Measurements.Global}', which stands for the whole iteration.", nameof(name));
        }

        var started = copy.Time.GetTimestamp();
        Response<T> response;
        try
        {
            response = await run();
        }
        catch (StepFailedException)
        {
            // A step within this one.
            throw;
        }
        catch (Exception exception)
        {
            response = Outcome.Of<T>(exception);
        }

        copy.Measurements.AddStep(name, response, copy.Time.GetElapsedTime(started));
        return response.IsError && copy.RestartsOnFail ? throw new StepFailedException() : response;
    }
}
