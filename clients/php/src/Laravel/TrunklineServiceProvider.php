<?php

declare(strict_types=1);

namespace Trunkline\Laravel;

use Illuminate\Contracts\Foundation\Application;
use Illuminate\Support\ServiceProvider;

/** Binds the gateway of `config/trunkline.php`; nothing connects before the first call. */
final class TrunklineServiceProvider extends ServiceProvider
{
    private const CONFIG = __DIR__ . '/../../config/trunkline.php';

    public function register(): void
    {
        $this->mergeConfigFrom(self::CONFIG, 'trunkline');
        $this->app->singleton(Gateway::class, fn (Application $app) => new Gateway($app['config']['trunkline']));
    }

    public function boot(): void
    {
        $this->publishes([self::CONFIG => $this->app->configPath('trunkline.php')], 'trunkline-config');
    }
}
