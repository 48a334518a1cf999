<?php

return [
    // The HTTP door of the gateway.
    'url' => env('TRUNKLINE_URL', 'http://127.0.0.1:8080'),

    // A key of the gateway.
    'key' => env('TRUNKLINE_API_KEY', ''),

    // The model of a question that names none.
    'model' => env('TRUNKLINE_MODEL', ''),
];
