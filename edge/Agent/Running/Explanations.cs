using System.Globalization;

namespace RenderTrust.Agent.Running;

/// <summary>The words for how a unit ended: cause, value, remedy, and nothing of the scene.</summary>
internal static class Explanations
{
    public static string For(UnitExit exit, int exitCode, UnitLimits limits) => string.Create(CultureInfo.InvariantCulture, $"{exit switch
    {
        UnitExit.Succeeded => "The module succeeded.",
        UnitExit.TimedOut => $"The module was killed at its limit of {limits.Wall.TotalSeconds:0.#} s. Make the unit cheaper or raise maxUnitDeviceSeconds.",
        UnitExit.OutOfMemory => $"The module was killed at its memory limit of {limits.MemoryBytes >> 20} MiB. Use a smaller scene or a module version with a higher memoryMebibytes.",
        UnitExit.OutputTooLarge => $"The module's output passed the limit of {limits.OutputBytes >> 20} MiB. Lower the output's size or use a module version with a higher outputMebibytes.",
        _ => $"The module ended with exit code {exitCode}. Its log is sealed to the job's output recipients.",
    }}");
}
