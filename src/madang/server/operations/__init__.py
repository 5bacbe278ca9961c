"""What an administrator does with a whole hub: back it up, check it, carry repositories elsewhere."""
