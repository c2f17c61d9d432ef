const MICRO = 1_000_000;

/** Credits with as many digits as they need to say something, the same for amounts of one size; a credit is $0.10. */
export function credits(micro: number): string {
  const value = micro / MICRO;
  const digits = value === 0 || Math.abs(value) >= 10_000 ? 0 : Math.abs(value) >= 10 ? 2 : 4;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export const dollars = (micro: number): string =>
  (micro / MICRO / 10).toLocaleString('en', { style: 'currency', currency: 'USD', maximumFractionDigits: micro > 0 && micro < MICRO ? 4 : 2 });

export const count = (value: number): string => value.toLocaleString('en');

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(value: number): string {
  const step = value > 0 ? Math.min(SIZES.length - 1, Math.floor(Math.log2(value) / 10)) : 0;
  return `${(value / 1024 ** step).toLocaleString('en', { maximumFractionDigits: step === 0 ? 0 : 1 })} ${SIZES[step]}`;
}

/** A span of time as people say it: the two largest parts. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) {
    return `${days} d ${hours} h`;
  }
  return hours > 0 ? `${hours} h ${minutes} m` : minutes > 0 ? `${minutes} m ${whole % 60} s` : `${whole} s`;
}

export function ago(at: string, now: number): string {
  const milliseconds = now - Date.parse(at);
  return milliseconds < 5_000 ? 'just now' : `${duration(Math.floor(milliseconds / 1000) * 1000).replace(/ \d+ [smh]$/, '')} ago`;
}

export const exact = (at: string): string => new Date(at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

export const milliseconds = (value: number): string => `${value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 })} ms`;

/** The last part of a UUID: its random end, which tells ids of the same minute apart. */
export const shortId = (id: string): string => id.slice(-12);
